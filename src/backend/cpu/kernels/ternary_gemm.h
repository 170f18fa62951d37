// The body of every vector kernel for ternary matrices, written once over the traits in isa/*.h.
// Include it only from targets/*.cc, inside the flags of one instruction set; everything is in an
// anonymous namespace so that no other file can end up calling code that its CPU doesn't have.
#pragma once

#include "backend/cpu/kernel_contract.h"
#include "backend/cpu/kernels/float_ops.h"

namespace tern::cpu {
namespace {

constexpr int64_t kPackedBytes = 1 << 18;

static_assert(kTileRows == kLanes);

// Adds one group's sums of a block, (kM, kTileRows) integers, as floats in the order of the
// reference.
template <int kM>
inline void AddGroup(const GemmArgs& a, int64_t tile, int64_t m0, int64_t g,
                     const int32_t (*sums)[kTileRows], F16* total) {
  const auto scales = *reinterpret_cast<const F16*>(a.scales + (tile * a.groups + g) * kTileRows);
  for (int m = 0; m < kM; ++m) {
    const int64_t at = (m0 + m) * a.groups + g;
    const I16 exact = *reinterpret_cast<const I16*>(sums[m]) - a.sums[at];
    const F16 part = __builtin_convertvector(exact, F16) * (scales * a.step[at]);
    total[m] = g == 0 ? part : total[m] + part;
  }
}

// 16 outputs of each row from output n0 on.
template <int kM>
inline void StoreTile(const GemmArgs& a, int64_t n0, int64_t m0, const F16* values) {
  const int64_t count = a.n - n0 < kTileRows ? a.n - n0 : kTileRows;
  for (int m = 0; m < kM; ++m) {
    float* y = a.y + (m0 + m) * a.y_stride + n0;
    if (count == kTileRows) {
      Store(y, a.add ? Load(y) + values[m] : values[m]);
      continue;
    }
    for (int64_t n = 0; n < count; ++n) y[n] = a.add ? y[n] + values[m][n] : values[m][n];
  }
}

template <int kM>
inline void StoreGated(const GemmArgs& a, int64_t n0, int64_t m0, F16* gates, const F16* ups) {
  for (int m = 0; m < kM; ++m) gates[m] = GateLanes(gates[m], ups[m], a.gate == GateKind::kSilu);
  StoreTile<kM>(a, n0, m0, gates);
}

// kT tiles, `apart` from one another, by kM rows of x, all inputs; x is packed (PackRows). The
// planes of a step have kS sets of sums, so that few rows have enough independent sums.
// Isa::Partial may overflow after Isa::kFoldEvery steps and is folded before.
template <class Isa, int kT, int kM, int kS>
inline void Block(const GemmArgs& a, const int8_t* x, int64_t tile, int64_t apart, int64_t m0,
                  F16 (*total)[kM]) {
  // A plane with sums of its own may stay where it is in the byte: its sums are then 4^p too large.
  constexpr bool kInPlace = Isa::kPlanesInPlace && kS == 4;
  const int64_t group_steps = a.steps / a.groups;
  // The same place of the tiles that come next: the hardware's prefetcher stops at every page.
  const int64_t ahead = (apart == 1 ? kT : 1) * a.steps * kStepBytes;
  const uint8_t* codes[kT];
  for (int t = 0; t < kT; ++t) codes[t] = a.codes + (tile + t * apart) * a.steps * kStepBytes;

  for (int64_t g = 0; g < a.groups; ++g) {
    alignas(64) int32_t sums[kT][kM][kTileRows];
    if constexpr (Isa::kFolds) __builtin_memset(sums, 0, sizeof sums);
    const int64_t end = (g + 1) * group_steps;
    int64_t s = g * group_steps;
    do {
      const int64_t stop = end - s < Isa::kFoldEvery ? end : s + Isa::kFoldEvery;
      typename Isa::Partial part[kS][kT][kM][Isa::kVecs];
#pragma GCC unroll 4
      for (int i = 0; i < kS; ++i)
#pragma GCC unroll 16
        for (int t = 0; t < kT; ++t)
#pragma GCC unroll 16
          for (int m = 0; m < kM; ++m)
#pragma GCC unroll 4
            for (int v = 0; v < Isa::kVecs; ++v) part[i][t][m][v] = Isa::Clear();
      for (; s < stop; ++s) {
        typename Isa::Vec packed[kT][Isa::kVecs];
#pragma GCC unroll 16
        for (int t = 0; t < kT; ++t) {
          __builtin_prefetch(codes[t] + s * kStepBytes + ahead, 0, 2);
#pragma GCC unroll 4
          for (int v = 0; v < Isa::kVecs; ++v)
            packed[t][v] = Isa::Load(codes[t] + s * kStepBytes + v * Isa::kBytes);
        }
#pragma GCC unroll 4
        for (int p = 0; p < 4; ++p) {
          typename Isa::Vec code[kT][Isa::kVecs];
#pragma GCC unroll 16
          for (int t = 0; t < kT; ++t)
#pragma GCC unroll 4
            for (int v = 0; v < Isa::kVecs; ++v)
              code[t][v] =
                  kInPlace ? Isa::PlaneInPlace(packed[t][v], p) : Isa::Plane(packed[t][v], p);
#pragma GCC unroll 16
          for (int m = 0; m < kM; ++m) {
            const typename Isa::Vec act = Isa::Broadcast(x + (s * kStepCols + 4 * p) * kM + 4 * m);
#pragma GCC unroll 16
            for (int t = 0; t < kT; ++t)
#pragma GCC unroll 4
              for (int v = 0; v < Isa::kVecs; ++v)
                part[p % kS][t][m][v] = Isa::Mac(part[p % kS][t][m][v], code[t][v], act);
          }
        }
      }
#pragma GCC unroll 16
      for (int t = 0; t < kT; ++t)
#pragma GCC unroll 16
        for (int m = 0; m < kM; ++m)
#pragma GCC unroll 4
          for (int v = 0; v < Isa::kVecs; ++v) {
            int32_t* to = sums[t][m] + v * (kTileRows / Isa::kVecs);
            if constexpr (Isa::kFolds) {
#pragma GCC unroll 4
              for (int i = 0; i < kS; ++i) Isa::Fold(part[i][t][m][v], to);
            } else {
              typename Isa::Partial sum = part[0][t][m][v];
#pragma GCC unroll 4
              for (int i = 1; i < kS; ++i)
                sum =
                    Isa::Plus(sum, kInPlace ? Isa::Descale(part[i][t][m][v], i) : part[i][t][m][v]);
              Isa::Fold(sum, to);
            }
          }
    } while (s < end);
    for (int t = 0; t < kT; ++t) AddGroup<kM>(a, tile + t * apart, m0, g, sums[t], total[t]);
  }
}

// Rows [m0, m0 + kM) of x so that the kernel reads one stream: the 4 inputs of each plane, row
// after row.
template <int kM>
inline void PackRows(const GemmArgs& a, int64_t m0, int8_t* packed) {
  for (int64_t k = 0; k < a.steps * kStepCols; k += 4)
    for (int m = 0; m < kM; ++m, packed += 4)
      __builtin_memcpy(packed, a.x + (m0 + m) * a.x_stride + k, 4);
}

// Each tile of gates with its tile of ups.
template <class Isa, int kM>
inline void GatedTiles(const GemmArgs& a, const int8_t* x, int64_t m0) {
  F16 total[2][kM] = {};
  for (int64_t tile = a.tile_begin; tile < a.tile_end; ++tile) {
    if constexpr (Isa::Tiles(kM) == 2) {
      Block<Isa, 2, kM, Isa::Sets(kM)>(a, x, tile, a.apart, m0, total);
    } else {
      Block<Isa, 1, kM, Isa::Sets(kM)>(a, x, tile, 1, m0, total);
      Block<Isa, 1, kM, Isa::Sets(kM)>(a, x, tile + a.apart, 1, m0, total + 1);
    }
    StoreGated<kM>(a, tile * kTileRows, m0, total[0], total[1]);
  }
}

template <class Isa, int kM>
inline void RowsOfTiles(const GemmArgs& a, int64_t m0) {
  const int8_t* x = a.x + m0 * a.x_stride;
  if constexpr (kM > 1) {
    auto* packed =
        static_cast<int8_t*>(__builtin_alloca(static_cast<size_t>(kM * a.steps * kStepCols)));
    PackRows<kM>(a, m0, packed);
    x = packed;
  }
  if (a.gate != GateKind::kNone) return GatedTiles<Isa, kM>(a, x, m0);
  constexpr int kT = Isa::Tiles(kM);
  F16 total[kT][kM];
  int64_t tile = a.tile_begin;
  for (; tile + kT <= a.tile_end; tile += kT) {
    Block<Isa, kT, kM, Isa::Sets(kM)>(a, x, tile, 1, m0, total);
    for (int t = 0; t < kT; ++t) StoreTile<kM>(a, (tile + t) * kTileRows, m0, total[t]);
  }
  for (; tile < a.tile_end; ++tile) {
    Block<Isa, 1, kM, Isa::Sets(kM)>(a, x, tile, 1, m0, total);
    StoreTile<kM>(a, tile * kTileRows, m0, total[0]);
  }
}

// `rows` is in [1, kM]: there is a block for each number of rows.
template <class Isa, int kM>
[[gnu::noinline]] void AnyRowsOfTiles(const GemmArgs& a, int64_t m0, int64_t rows) {
  if (rows == kM) return RowsOfTiles<Isa, kM>(a, m0);
  if constexpr (kM > 1) AnyRowsOfTiles<Isa, kM - 1>(a, m0, rows);
}

// Rows in equal blocks; each reads all the codes once, and what it packs fits on a stack.
template <class Isa>
inline void TernaryGemm(const GemmArgs& a) {
  const int64_t fits = kPackedBytes / (a.steps * kStepCols);
  const int64_t most = fits < 1 ? 1 : fits < Isa::kMostRows ? fits : Isa::kMostRows;
  const int64_t blocks = (a.m + most - 1) / most;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t m0 = a.m * i / blocks;
    AnyRowsOfTiles<Isa, Isa::kMostRows>(a, m0, a.m * (i + 1) / blocks - m0);
  }
}

}  // namespace
}  // namespace tern::cpu
