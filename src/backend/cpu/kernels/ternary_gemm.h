// The body of every vector kernel for ternary matrices, written once over the traits in isa/*.h.
// Include it only from targets/*.cc, inside the flags of one instruction set; everything is in an
// anonymous namespace so that no other file can end up calling code that its CPU doesn't have.
#pragma once

#include "backend/cpu/kernel_contract.h"

namespace tern::cpu {
namespace {

// Writes one group's sums of a block as floats: (kM, kTileRows) integers in `sums`, in the order of
// the reference.
template <int kM>
inline void AddGroup(const GemmArgs& a, int64_t tile, int64_t m0, int64_t g,
                     const int32_t (*sums)[kTileRows], float (*total)[kTileRows]) {
  const float* scales = a.scales + (tile * a.groups + g) * kTileRows;
  for (int m = 0; m < kM; ++m) {
    const int64_t at = (m0 + m) * a.groups + g;
    const float step = a.step[at];
    const int32_t row_sum = a.sums[at];
    for (int64_t n = 0; n < kTileRows; ++n) {
      const float part = static_cast<float>(sums[m][n] - row_sum) * (scales[n] * step);
      total[m][n] = g == 0 ? part : total[m][n] + part;
    }
  }
}

template <int kM>
inline void StoreTile(const GemmArgs& a, int64_t tile, int64_t m0,
                      const float (*total)[kTileRows]) {
  const int64_t n0 = tile * kTileRows;
  const int64_t count = a.n - n0 < kTileRows ? a.n - n0 : kTileRows;
  for (int m = 0; m < kM; ++m) {
    float* y = a.y + (m0 + m) * a.y_stride + n0;
    if (a.add)
      for (int64_t n = 0; n < count; ++n) y[n] += total[m][n];
    else
      for (int64_t n = 0; n < count; ++n) y[n] = total[m][n];
  }
}

// kT tiles by kM rows of x, all inputs. Isa::Partial may overflow after Isa::kFoldEvery steps and
// is folded before.
template <class Isa, int kT, int kM>
inline void Block(const GemmArgs& a, int64_t tile, int64_t m0) {
  const int64_t group_steps = a.steps / a.groups;
  const uint8_t* codes[kT];
  for (int t = 0; t < kT; ++t) codes[t] = a.codes + (tile + t) * a.steps * kStepBytes;
  const int8_t* x[kM];
  for (int m = 0; m < kM; ++m) x[m] = a.x + (m0 + m) * a.x_stride;

  float total[kT][kM][kTileRows];
  for (int64_t g = 0; g < a.groups; ++g) {
    alignas(64) int32_t sums[kT][kM][kTileRows];
    if constexpr (Isa::kFolds) __builtin_memset(sums, 0, sizeof sums);
    const int64_t end = (g + 1) * group_steps;
    for (int64_t s = g * group_steps; s < end;) {
      const int64_t stop = end - s < Isa::kFoldEvery ? end : s + Isa::kFoldEvery;
      typename Isa::Partial part[kT][kM][Isa::kVecs];
#pragma GCC unroll 16
      for (int t = 0; t < kT; ++t)
#pragma GCC unroll 16
        for (int m = 0; m < kM; ++m)
#pragma GCC unroll 4
          for (int v = 0; v < Isa::kVecs; ++v) part[t][m][v] = Isa::Clear();
      for (; s < stop; ++s) {
        typename Isa::Vec packed[kT][Isa::kVecs];
#pragma GCC unroll 16
        for (int t = 0; t < kT; ++t)
#pragma GCC unroll 4
          for (int v = 0; v < Isa::kVecs; ++v)
            packed[t][v] = Isa::Load(codes[t] + s * kStepBytes + v * Isa::kBytes);
#pragma GCC unroll 4
        for (int p = 0; p < 4; ++p) {
          typename Isa::Vec code[kT][Isa::kVecs];
#pragma GCC unroll 16
          for (int t = 0; t < kT; ++t)
#pragma GCC unroll 4
            for (int v = 0; v < Isa::kVecs; ++v) code[t][v] = Isa::Plane(packed[t][v], p);
#pragma GCC unroll 16
          for (int m = 0; m < kM; ++m) {
            const typename Isa::Vec act = Isa::Broadcast(x[m] + s * kStepCols + 4 * p);
#pragma GCC unroll 16
            for (int t = 0; t < kT; ++t)
#pragma GCC unroll 4
              for (int v = 0; v < Isa::kVecs; ++v)
                part[t][m][v] = Isa::Mac(part[t][m][v], code[t][v], act);
          }
        }
      }
#pragma GCC unroll 16
      for (int t = 0; t < kT; ++t)
#pragma GCC unroll 16
        for (int m = 0; m < kM; ++m)
#pragma GCC unroll 4
          for (int v = 0; v < Isa::kVecs; ++v)
            Isa::Fold(part[t][m][v], sums[t][m] + v * (kTileRows / Isa::kVecs));
    }
    for (int t = 0; t < kT; ++t) AddGroup<kM>(a, tile + t, m0, g, sums[t], total[t]);
  }
  for (int t = 0; t < kT; ++t) StoreTile<kM>(a, tile + t, m0, total[t]);
}

// Rows left over are done in blocks of half the size.
template <class Isa, int kT, int kM>
inline void RowsOfTile(const GemmArgs& a, int64_t tile, int64_t m0) {
  for (; m0 + kM <= a.m; m0 += kM) Block<Isa, kT, kM>(a, tile, m0);
  if constexpr (kM > 1) {
    if (m0 < a.m) RowsOfTile<Isa, kT, kM / 2>(a, tile, m0);
  }
}

// Few rows: several tiles at once hide the latency of the multiply-accumulate. Many rows: several
// rows at once share the unpacking of a tile.
template <class Isa>
inline void TernaryGemm(const GemmArgs& a) {
  int64_t tile = a.tile_begin;
  if (a.m <= Isa::kFewRows)
    for (; tile + Isa::kFewTiles <= a.tile_end; tile += Isa::kFewTiles)
      RowsOfTile<Isa, Isa::kFewTiles, Isa::kFewRows>(a, tile, 0);
  for (; tile < a.tile_end; ++tile) RowsOfTile<Isa, 1, Isa::kManyRows>(a, tile, 0);
}

}  // namespace
}  // namespace tern::cpu
