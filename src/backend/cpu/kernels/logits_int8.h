// The body of the int8 head's kernels, written once over the traits in isa/*_dot8.h. Include it
// only from targets/*.cc (see ternary_gemm.h).
#pragma once

#include "backend/cpu/logits_contract.h"

namespace tern::cpu {
namespace {

template <class Dot>
inline void StoreRow(const Int8LogitsArgs& a, const uint32_t* sums, int64_t tile, int64_t m) {
  const int64_t n0 = tile * kHeadTileRows;
  const int64_t count = a.n - n0 < kHeadTileRows ? a.n - n0 : kHeadTileRows;
  const uint32_t offset = static_cast<uint32_t>(Dot::kOffset) * static_cast<uint32_t>(a.sums[m]);
  float* y = a.y + m * a.y_stride + n0;
  for (int64_t n = 0; n < count; ++n)
    y[n] =
        static_cast<float>(static_cast<int32_t>(sums[n] - offset)) * (a.scales[n0 + n] * a.step[m]);
}

// kT tiles by kM rows of x. Sums wrap around 2^32, and the correction brings them back: only the
// last value has to fit (kMaxHeadCols).
template <class Dot, int kT, int kM>
inline void Int8Block(const Int8LogitsArgs& a, int64_t tile, int64_t m0) {
  const uint8_t* codes[kT];
  for (int t = 0; t < kT; ++t) codes[t] = a.codes + (tile + t) * a.planes * kPlaneBytes;
  const int8_t* x[kM];
  for (int m = 0; m < kM; ++m) x[m] = a.x + (m0 + m) * a.x_stride;
  typename Dot::Sum sums[kT][kM][Dot::kVecs];
#pragma GCC unroll 16
  for (int t = 0; t < kT; ++t)
#pragma GCC unroll 16
    for (int m = 0; m < kM; ++m)
#pragma GCC unroll 16
      for (int v = 0; v < Dot::kVecs; ++v) sums[t][m][v] = Dot::Clear();
  // The tiles that come next are one stream with these, so that prefetching is the CPU's.
  for (int64_t p = 0; p < a.planes; ++p) {
    typename Dot::Weights w[kT][Dot::kVecs];
#pragma GCC unroll 16
    for (int t = 0; t < kT; ++t)
#pragma GCC unroll 16
      for (int v = 0; v < Dot::kVecs; ++v)
        w[t][v] = Dot::Load(codes[t] + p * kPlaneBytes + v * (kPlaneBytes / Dot::kVecs));
#pragma GCC unroll 16
    for (int m = 0; m < kM; ++m) {
      const typename Dot::Inputs act = Dot::Broadcast(x[m] + p * kPlaneCols);
#pragma GCC unroll 16
      for (int t = 0; t < kT; ++t)
#pragma GCC unroll 16
        for (int v = 0; v < Dot::kVecs; ++v) sums[t][m][v] = Dot::Mac(sums[t][m][v], w[t][v], act);
    }
  }
  // Out of the registers first: an accumulator whose index isn't a constant would live in memory.
  alignas(64) uint32_t out[kT][kM][kHeadTileRows];
#pragma GCC unroll 16
  for (int t = 0; t < kT; ++t)
#pragma GCC unroll 16
    for (int m = 0; m < kM; ++m)
#pragma GCC unroll 16
      for (int v = 0; v < Dot::kVecs; ++v)
        Dot::Store(sums[t][m][v], out[t][m] + v * (kHeadTileRows / Dot::kVecs));
  for (int t = 0; t < kT; ++t)
    for (int m = 0; m < kM; ++m) StoreRow<Dot>(a, out[t][m], tile + t, m0 + m);
}

// `count` <= kM rows of x.
template <class Dot, int kT, int kM>
inline void Int8UpTo(const Int8LogitsArgs& a, int64_t tile, int64_t m0, int64_t count) {
  if constexpr (kM > 1) {
    if (count < kM) return Int8UpTo<Dot, kT, kM - 1>(a, tile, m0, count);
  }
  Int8Block<Dot, kT, kM>(a, tile, m0);
}

// Rows of x in blocks of nearly equal size: a tile, once read, stays in the first-level cache for
// them.
template <class Dot, int kT, int kMost>
inline void Int8Rows(const Int8LogitsArgs& a, int64_t tile) {
  const int64_t blocks = (a.m + kMost - 1) / kMost;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t m0 = i * a.m / blocks, m1 = (i + 1) * a.m / blocks;
    Int8UpTo<Dot, kT, kMost>(a, tile, m0, m1 - m0);
  }
}

template <class Dot>
inline void Int8Logits(const Int8LogitsArgs& a) {
  int64_t tile = a.tile_begin;
  if (a.m <= Dot::kFewRows)
    for (; tile + Dot::kFewTiles <= a.tile_end; tile += Dot::kFewTiles)
      Int8Rows<Dot, Dot::kFewTiles, Dot::kFewRows>(a, tile);
  else
    for (; tile + Dot::kManyTiles <= a.tile_end; tile += Dot::kManyTiles)
      Int8Rows<Dot, Dot::kManyTiles, Dot::kManyRows>(a, tile);
  for (; tile < a.tile_end; ++tile) Int8Rows<Dot, 1, Dot::kManyRows>(a, tile);
}

}  // namespace
}  // namespace tern::cpu
