// Armv8.0 NEON for the int8 head: SMULL gives 8 products in int16 (at most 128 * 128 in magnitude),
// SADDLP adds them by pairs into int32.
#pragma once

#include <arm_neon.h>

#include "backend/cpu/logits_contract.h"

namespace tern::cpu {
namespace {

struct NeonDot8 {
  using Weights = int8x16_t;
  using Inputs = int8x16_t;
  using Sum = int32x4_t;  // four outputs
  static constexpr int kVecs = 4;
  static constexpr int32_t kOffset = 0;  // weights are made signed again
  static constexpr int kFewRows = 1, kFewTiles = 2;
  static constexpr int kManyRows = 4, kManyTiles = 1;

  static Weights Load(const uint8_t* p) {
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(kWeightOffset)));
  }
  static Inputs Broadcast(const int8_t* x) {
    int32_t four;
    __builtin_memcpy(&four, x, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
  }
  static Sum Clear() { return vdupq_n_s32(0); }
  static Sum Mac(Sum sum, Weights w, Inputs x) {
    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
    const int16x8_t high = vmull_s8(vget_high_s8(w), vget_high_s8(x));
    return vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
  }
  static void Store(Sum sum, uint32_t* to) { vst1q_u32(to, vreinterpretq_u32_s32(sum)); }
};

}  // namespace
}  // namespace tern::cpu
