// Armv8.0 NEON. SMULL: 8 products of s8 by s8 into 8 int16; SADALP adds them by pairs into 4 int32.
// 32 registers.
#pragma once

#include <arm_neon.h>

#include "backend/cpu/kernel_contract.h"

namespace tern::cpu {
namespace {

struct Neon {
  using Vec = int8x16_t;
  using Partial = int32x4_t;  // four outputs
  static constexpr int kBytes = 16, kVecs = 4;
  static constexpr bool kFolds = false;
  static constexpr int64_t kFoldEvery = int64_t{1} << 40;
  static constexpr int kMostRows = 4;
  static constexpr int Tiles(int) { return 1; }
  static constexpr int Sets(int) { return 1; }

  static Vec Load(const uint8_t* p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }
  static Vec Plane(Vec packed, int p) {
    const uint8x16_t shifted =
        vshlq_u8(vreinterpretq_u8_s8(packed), vdupq_n_s8(static_cast<int8_t>(-2 * p)));
    return vreinterpretq_s8_u8(vandq_u8(shifted, vdupq_n_u8(3)));
  }
  static constexpr bool kPlanesInPlace = false;
  static Vec PlaneInPlace(Vec packed, int p) { return Plane(packed, p); }
  static Partial Descale(Partial sum, int) { return sum; }
  static Vec Broadcast(const int8_t* x) {
    int32_t four;
    __builtin_memcpy(&four, x, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
  }
  static Partial Clear() { return vdupq_n_s32(0); }
  static Partial Plus(Partial a, Partial b) { return vaddq_s32(a, b); }
  static Partial Mac(Partial sum, Vec code, Vec act) {
    // Pairs of inputs, then pairs of pairs: lane i of the result belongs to output i.
    const int16x8_t low = vmull_s8(vget_low_s8(code), vget_low_s8(act));
    const int16x8_t high = vmull_s8(vget_high_s8(code), vget_high_s8(act));
    return vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
  }
  static void Fold(Partial part, int32_t* sums) { vst1q_s32(sums, part); }
};

}  // namespace
}  // namespace tern::cpu
