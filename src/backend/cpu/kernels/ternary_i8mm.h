// Ternary matrices with Arm's matrix multiply (I8MM). SMMLA: two rows by two outputs of int32, each
// with the products of 8 inputs added. Include it only from targets/neon_i8mm.cc (see
// ternary_gemm.h).
#pragma once

#include <arm_neon.h>

#include "backend/cpu/kernels/ternary_gemm.h"

namespace tern::cpu {
namespace {

// Rows of x in a block: four pairs by 8 outputs are 16 sums; 4 pairs of x, 4 pairs of outputs and
// the packed codes fill the other registers.
constexpr int kI8mmRows = 8;

// Rows [m0, m0 + kM) of x as SMMLA wants them: 8 inputs of a row, the same of the next; pair after
// pair, then the next 8 inputs. A last row without a partner gets zeros.
template <int kM>
inline void PackPairs(const GemmArgs& a, int64_t m0, int8_t* packed) {
  for (int64_t k = 0; k < a.steps * kStepCols; k += 8)
    for (int m = 0; m < kM + kM % 2; ++m, packed += 8) {
      if (m < kM)
        __builtin_memcpy(packed, a.x + (m0 + m) * a.x_stride + k, 8);
      else
        __builtin_memset(packed, 0, 8);
    }
}

// 8 outputs from byte `half` * 32 of each step on, steps [begin, end), by kM rows.
template <int kM>
inline void HalfTile(const GemmArgs& a, const int8_t* x, int64_t tile, int half, int64_t begin,
                     int64_t end, int32_t (*sums)[kTileRows]) {
  constexpr int kPairs = (kM + 1) / 2;
  const uint8_t* codes = a.codes + tile * a.steps * kStepBytes + half * (kStepBytes / 2);
  const uint8x16_t mask = vdupq_n_u8(3);
  int32x4_t part[kPairs][4];
#pragma GCC unroll 4
  for (int i = 0; i < kPairs; ++i)
#pragma GCC unroll 4
    for (int n = 0; n < 4; ++n) part[i][n] = vdupq_n_s32(0);
  for (int64_t s = begin; s < end; ++s) {
    const uint8x16_t packed[2] = {vld1q_u8(codes + s * kStepBytes),
                                  vld1q_u8(codes + s * kStepBytes + 16)};
    const int8_t* rows = x + s * kStepCols * 2 * kPairs;
    // Planes 0 and 1 hold inputs 0..7 of 4 outputs, planes 2 and 3 inputs 8..15.
#pragma GCC unroll 2
    for (int k = 0; k < 2; ++k) {
      int8x16_t outputs[4];  // 2 outputs by 8 inputs each
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        const uint8x16_t shifted = k == 0 ? packed[v] : vshrq_n_u8(packed[v], 4);
        const uint32x4_t low = vreinterpretq_u32_u8(vandq_u8(shifted, mask));
        const uint32x4_t high = vreinterpretq_u32_u8(vandq_u8(vshrq_n_u8(shifted, 2), mask));
        outputs[2 * v] = vreinterpretq_s8_u32(vzip1q_u32(low, high));
        outputs[2 * v + 1] = vreinterpretq_s8_u32(vzip2q_u32(low, high));
      }
#pragma GCC unroll 4
      for (int i = 0; i < kPairs; ++i) {
        const int8x16_t pair = vld1q_s8(rows + (k * kPairs + i) * 16);
#pragma GCC unroll 4
        for (int n = 0; n < 4; ++n) part[i][n] = vmmlaq_s32(part[i][n], pair, outputs[n]);
      }
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kPairs; ++i)
#pragma GCC unroll 4
    for (int n = 0; n < 4; ++n) {
      const int at = half * 8 + 2 * n;
      vst1_s32(sums[2 * i] + at, vget_low_s32(part[i][n]));
      if (2 * i + 1 < kM) vst1_s32(sums[2 * i + 1] + at, vget_high_s32(part[i][n]));
    }
}

template <int kM>
inline void I8mmTile(const GemmArgs& a, const int8_t* x, int64_t tile, int64_t m0, F16* total) {
  const int64_t group_steps = a.steps / a.groups;
  for (int64_t g = 0; g < a.groups; ++g) {
    alignas(64) int32_t sums[kM][kTileRows];
    for (int half = 0; half < 2; ++half)
      HalfTile<kM>(a, x, tile, half, g * group_steps, (g + 1) * group_steps, sums);
    AddGroup<kM>(a, tile, m0, g, sums, total);
  }
}

template <int kM>
inline void I8mmRows(const GemmArgs& a, int64_t m0) {
  auto* packed = static_cast<int8_t*>(
      __builtin_alloca(static_cast<size_t>((kM + kM % 2) * a.steps * kStepCols)));
  PackPairs<kM>(a, m0, packed);
  F16 total[kM] = {}, ups[kM] = {};
  for (int64_t tile = a.tile_begin; tile < a.tile_end; ++tile) {
    I8mmTile<kM>(a, packed, tile, m0, total);
    if (a.gate != GateKind::kNone) {
      I8mmTile<kM>(a, packed, tile + a.apart, m0, ups);
      StoreGated<kM>(a, tile * kTileRows, m0, total, ups);
    } else {
      StoreTile<kM>(a, tile * kTileRows, m0, total);
    }
  }
}

// `rows` is in [1, kM].
template <int kM>
[[gnu::noinline]] void I8mmAnyRows(const GemmArgs& a, int64_t m0, int64_t rows) {
  if (rows == kM) return I8mmRows<kM>(a, m0);
  if constexpr (kM > 1) I8mmAnyRows<kM - 1>(a, m0, rows);
}

inline void TernaryGemmI8mm(const GemmArgs& a) {
  const int64_t fits = kPackedBytes / (a.steps * kStepCols) / 2 * 2;
  const int64_t most = fits < 2 ? 1 : fits < kI8mmRows ? fits : kI8mmRows;
  for (int64_t m = 0; m < a.m; m += most)
    I8mmAnyRows<kI8mmRows>(a, m, a.m - m < most ? a.m - m : most);
}

}  // namespace
}  // namespace tern::cpu
