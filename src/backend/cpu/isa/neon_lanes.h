// Armv8.0 NEON for the float kernels of the head. 32 registers, four to 16 lanes.
#pragma once

#include <arm_neon.h>

#include "backend/cpu/isa/lanes.h"

namespace tern::cpu {
namespace {

struct NeonLanes : LaneMath<16> {
  static constexpr int kSingleRows = 4, kDirectRows = 1, kDirectCols = 4;
  static constexpr int kBlockRows = 2, kBlockCols = 2;

  TERN_INLINE static Lanes Half(const uint8_t* p) {
    Lanes r;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) r.v[i] = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p + 8 * i)));
    return r;
  }
  TERN_INLINE static Lanes Bf16(const uint8_t* p) {
    Lanes r;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
      r.v[i] = vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p + 8 * i)), 16));
    return r;
  }
  TERN_INLINE static Lanes Int8(const int8_t* p) {
    const int8x16_t bytes = vld1q_s8(p);
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
    return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
             vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
             vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
             vcvtq_f32_s32(vmovl_s16(vget_high_s16(high)))}};
  }
  TERN_INLINE static Lanes HalfSplat(const uint8_t* p) {
    uint16_t half;
    __builtin_memcpy(&half, p, sizeof half);
    const float32x4_t d = vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half)));
    return {{d, d, d, d}};
  }

  using Table = float;
  TERN_INLINE static Table TernaryTable(float scale) { return scale; }
  TERN_INLINE static Lanes Ternary(Table scale, const uint8_t* p) {
    uint32_t codes;
    __builtin_memcpy(&codes, p, sizeof codes);
    static constexpr int32_t kShifts[4] = {0, -2, -4, -6};
    Lanes r;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const uint32x4_t code =
          vandq_u32(vshlq_u32(vdupq_n_u32(codes >> (8 * i)), vld1q_s32(kShifts)), vdupq_n_u32(3));
      const int32x4_t value = vsubq_s32(vreinterpretq_s32_u32(code), vdupq_n_s32(1));
      r.v[i] = vmulq_n_f32(vcvtq_f32_s32(value), scale);
    }
    return r;
  }
};

}  // namespace
}  // namespace tern::cpu
