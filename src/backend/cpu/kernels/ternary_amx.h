// Ternary matrices on AMX: sixteen planes of the packed layout are one tile of 16 outputs by 64
// inputs, as TDPBSUD wants them, after each code has been widened to a byte. The widened panel is
// shared by all rows of x. Include it only from targets/*.cc (see ternary_gemm.h). Tile numbers are
// literals: GCC's intrinsics are macros that paste them.
#pragma once

#include "backend/cpu/kernel_contract.h"
#include "backend/cpu/kernels/float_ops.h"
#include "backend/cpu/kernels/tiles.h"

namespace tern::cpu {
namespace {

constexpr int64_t kTileBytes = 1024;                        // 16 rows of 64 bytes
constexpr int64_t kBlockCols = kStepCols * kStepsPerPad;    // inputs of a tile
constexpr int64_t kBlockBytes = kStepBytes * kStepsPerPad;  // packed
constexpr int64_t kPairOutputs = 2 * kTileRows;             // two tiles of weights

// Inputs are cut into panels of weights of at most this many blocks. Two tiles of them (16 KiB) and
// as much of x fit in the first-level cache together, so that only x comes from the second level:
// that way a core of Sapphire Rapids multiplies at 72% of its peak, at 53% with panels of 40.
// Loading and storing unfinished sums between panels costs less than what shows.
constexpr int64_t kPanelBlocks = 8;
constexpr int64_t kWidenAhead = 2;
// The hardware's prefetcher stops at the end of a page.
constexpr int64_t kCodesAhead = 4096;
// Rows whose unfinished sums are kept at once (64 KiB), and bytes of x that are to stay in the
// second-level cache (2 MiB).
constexpr int64_t kMostRows = 512;
constexpr int64_t kCachedInput = 5 << 18;

// Tiles 0..3 hold the sums of (rows 0, outputs 0), (0, 1), (1, 0), (1, 1); 4 and 5 rows of x; 6 and
// 7 weights.

// One block of 16 outputs by 64 inputs, from 2 bits a code to 8.
[[gnu::always_inline]] inline void WidenBlock(const uint8_t* codes, uint8_t* panel) {
  const __m512i mask = _mm512_set1_epi8(3);
#pragma GCC unroll 4
  for (int64_t s = 0; s < kStepsPerPad; ++s) {
    const __m512i packed = _mm512_loadu_si512(codes + s * kStepBytes);
    uint8_t* to = panel + s * 4 * 64;
    _mm512_store_si512(to, _mm512_and_si512(packed, mask));
    _mm512_store_si512(to + 64, _mm512_and_si512(_mm512_srli_epi16(packed, 2), mask));
    _mm512_store_si512(to + 128, _mm512_and_si512(_mm512_srli_epi16(packed, 4), mask));
    _mm512_store_si512(to + 192, _mm512_and_si512(_mm512_srli_epi16(packed, 6), mask));
  }
}

// Unfinished integer sums of 32 rows by 32 outputs, in the order of the tiles.
struct alignas(64) PairSums {
  int32_t at[4][16][kTileRows];
};

template <bool kTwoRowTiles, bool kTwoTiles>
[[gnu::always_inline]] inline void ZeroSums() {
  _tile_zero(0);
  if constexpr (kTwoTiles) _tile_zero(1);
  if constexpr (kTwoRowTiles) _tile_zero(2);
  if constexpr (kTwoRowTiles && kTwoTiles) _tile_zero(3);
}

template <bool kTwoRowTiles, bool kTwoTiles>
[[gnu::always_inline]] inline void LoadSums(const PairSums& sums) {
  _tile_loadd(0, sums.at[0], 64);
  if constexpr (kTwoTiles) _tile_loadd(1, sums.at[1], 64);
  if constexpr (kTwoRowTiles) _tile_loadd(2, sums.at[2], 64);
  if constexpr (kTwoRowTiles && kTwoTiles) _tile_loadd(3, sums.at[3], 64);
}

template <bool kTwoRowTiles, bool kTwoTiles>
[[gnu::always_inline]] inline void StoreSums(PairSums& sums) {
  _tile_stored(0, sums.at[0], 64);
  if constexpr (kTwoTiles) _tile_stored(1, sums.at[1], 64);
  if constexpr (kTwoRowTiles) _tile_stored(2, sums.at[2], 64);
  if constexpr (kTwoRowTiles && kTwoTiles) _tile_stored(3, sums.at[3], 64);
}

// Adds one block of 64 inputs to the sums. All loads stand first: in between, they would wait for
// the multiplications.
template <bool kTwoRowTiles, bool kTwoTiles>
[[gnu::always_inline]] inline void MultiplyBlock(const int8_t* x, int64_t x_stride,
                                                 const uint8_t* panel0, const uint8_t* panel1) {
  StoresBeforeTiles();
  _tile_loadd(6, panel0, 64);
  if constexpr (kTwoTiles) _tile_loadd(7, panel1, 64);
  _tile_loadd(4, x, x_stride);
  if constexpr (kTwoRowTiles) _tile_loadd(5, x + 16 * x_stride, x_stride);
  _tile_dpbsud(0, 4, 6);
  if constexpr (kTwoTiles) _tile_dpbsud(1, 4, 7);
  if constexpr (kTwoRowTiles) _tile_dpbsud(2, 5, 6);
  if constexpr (kTwoRowTiles && kTwoTiles) _tile_dpbsud(3, 5, 7);
}

// Sums of one group to floats: 16 outputs of one row.
[[gnu::always_inline]] inline F16 Scaled(const GemmArgs& a, const int32_t* sums, int64_t m,
                                         int64_t g, F16 scales) {
  const int64_t at = m * a.groups + g;
  const I16 exact = *reinterpret_cast<const I16*>(sums) - a.sums[at];
  return __builtin_convertvector(exact, F16) * (scales * a.step[at]);
}

inline void StoreOutputs(const GemmArgs& a, int64_t m, int64_t tile, F16 total) {
  const int64_t n0 = tile * kTileRows;
  const int64_t count = a.n - n0;
  const auto mask = static_cast<__mmask16>(count >= kTileRows ? 0xffff : (1 << count) - 1);
  float* y = a.y + m * a.y_stride + n0;
  if (a.add) total = (F16)_mm512_maskz_loadu_ps(mask, y) + total;
  _mm512_mask_storeu_ps(y, mask, (__m512)total);
}

// Floats of unfinished outputs when there are several groups: (rows, 2, 16).
using PairTotals = F16[2];

// The group's sums of `rows` rows from m on are whole: scale them, and write them out after the
// last group.
template <bool kTwoTiles>
inline void FinishGroup(const GemmArgs& a, const PairSums& sums, int64_t m0, int64_t rows,
                        int64_t tile, int64_t g, PairTotals* totals) {
  constexpr int kTiles = kTwoTiles ? 2 : 1;
  F16 scales[kTiles];
  for (int t = 0; t < kTiles; ++t)
    scales[t] = Load(a.scales + ((tile + t * a.apart) * a.groups + g) * kTileRows);
  for (int64_t r = 0; r < rows; ++r) {
    F16 total[kTiles];
    for (int t = 0; t < kTiles; ++t) {
      total[t] = Scaled(a, sums.at[r / 16 * 2 + t][r % 16], m0 + r, g, scales[t]);
      if (g > 0) total[t] = totals[r][t] + total[t];
    }
    if (g + 1 < a.groups) {
      for (int t = 0; t < kTiles; ++t) totals[r][t] = total[t];
    } else if (a.gate != GateKind::kNone) {
      StoreOutputs(a, m0 + r, tile,
                   GateLanes(total[0], total[kTiles - 1], a.gate == GateKind::kSilu));
    } else {
      for (int t = 0; t < kTiles; ++t) StoreOutputs(a, m0 + r, tile + t, total[t]);
    }
  }
}

// At most 32 rows: the sums stay in the tile registers. Blocks are widened two ahead of their use,
// because a tile can't be loaded before its stores have reached the cache.
template <bool kTwoRowTiles, bool kTwoTiles>
inline void FewRows(const GemmArgs& a, int64_t tile) {
  constexpr int64_t kSlots = 4;
  alignas(64) uint8_t panel[kSlots][2][kTileBytes];
  alignas(64) PairTotals totals[kPairRows];
  PairSums sums;
  const uint8_t* codes = a.codes + tile * a.steps * kStepBytes;
  const int64_t blocks = a.steps / kStepsPerPad, group_blocks = blocks / a.groups;
  const auto widen = [&](int64_t b) {
    if (b >= blocks) return;
    const uint8_t* from = codes + b * kBlockBytes;
    __builtin_prefetch(from + kCodesAhead);
    WidenBlock(from, panel[b % kSlots][0]);
    if constexpr (kTwoTiles) {
      const uint8_t* other = from + a.apart * blocks * kBlockBytes;
      __builtin_prefetch(other + kCodesAhead);
      WidenBlock(other, panel[b % kSlots][1]);
    }
  };
  for (int64_t b = 0; b < kWidenAhead; ++b) widen(b);
  for (int64_t g = 0; g < a.groups; ++g) {
    ZeroSums<kTwoRowTiles, kTwoTiles>();
    for (int64_t b = g * group_blocks; b < (g + 1) * group_blocks; ++b) {
      widen(b + kWidenAhead);
      const auto& slot = panel[b % kSlots];
      MultiplyBlock<kTwoRowTiles, kTwoTiles>(a.x + b * kBlockCols, a.x_stride, slot[0], slot[1]);
    }
    StoreSums<kTwoRowTiles, kTwoTiles>(sums);
    FinishGroup<kTwoTiles>(a, sums, 0, a.m, tile, g, totals);
  }
}

// Widened weights: both tiles of a pair.
using Panel = uint8_t[2][kPanelBlocks * kTileBytes];

// Asks for the codes of the panel after this one, a few lines beside each block: all at once they
// would fill the buffers that loads wait in.
class CodesAhead {
 public:
  // `lines` at `codes` and as many at `other`, over `blocks` blocks.
  CodesAhead(const uint8_t* codes, const uint8_t* other, int64_t lines, int64_t blocks)
      : codes_(codes), other_(other), lines_(lines), at_once_((lines + blocks - 1) / blocks) {}

  [[gnu::always_inline]] inline void BesideBlock() {
    for (int64_t i = 0; i < at_once_ && next_ < lines_; ++i, ++next_) {
      __builtin_prefetch(codes_ + next_ * 64, 0, 2);
      __builtin_prefetch(other_ + next_ * 64, 0, 2);
    }
  }

 private:
  const uint8_t* codes_;
  const uint8_t* other_;
  int64_t lines_, at_once_, next_ = 0;
};

// Adds one panel to the sums of a pair of row tiles. The first rows of a panel widen it on their
// way, two blocks ahead (see FewRows): stores and tile multiplications overlap.
template <bool kTwoRowTiles, bool kTwoTiles, bool kWiden>
inline void PanelRows(const GemmArgs& a, const uint8_t* codes, int64_t blocks, const int8_t* x,
                      bool first, Panel& panel, PairSums& sums, CodesAhead& ahead) {
  const int64_t pair_bytes = a.apart * a.steps * kStepBytes;
  const auto widen = [&](int64_t b) {
    if (b >= blocks) return;
    WidenBlock(codes + b * kBlockBytes, panel[0] + b * kTileBytes);
    if constexpr (kTwoTiles)
      WidenBlock(codes + pair_bytes + b * kBlockBytes, panel[1] + b * kTileBytes);
  };
  if constexpr (kWiden)
    for (int64_t b = 0; b < kWidenAhead; ++b) widen(b);
  if (first)
    ZeroSums<kTwoRowTiles, kTwoTiles>();
  else
    LoadSums<kTwoRowTiles, kTwoTiles>(sums);
  for (int64_t b = 0; b < blocks; ++b) {
    if constexpr (kWiden) widen(b + kWidenAhead);
    if constexpr (!kWiden) ahead.BesideBlock();
    MultiplyBlock<kTwoRowTiles, kTwoTiles>(x + b * kBlockCols, a.x_stride,
                                           panel[0] + b * kTileBytes, panel[1] + b * kTileBytes);
  }
  StoreSums<kTwoRowTiles, kTwoTiles>(sums);
}

// Rows [m_begin, m_end), at most kMostRows.
template <bool kTwoTiles>
inline void ManyRows(const GemmArgs& a, int64_t tile, int64_t m_begin, int64_t m_end) {
  alignas(64) Panel panel;
  PairSums sums[kMostRows / kPairRows];
  alignas(64) PairTotals totals[kMostRows];
  const uint8_t* tile_codes = a.codes + tile * a.steps * kStepBytes;
  const int64_t blocks = a.steps / kStepsPerPad, group_blocks = blocks / a.groups;
  const uint8_t* next_tiles =
      tile_codes + (kTwoTiles && a.apart == 1 ? 2 : 1) * blocks * kBlockBytes;
  const int64_t panels = (group_blocks + kPanelBlocks - 1) / kPanelBlocks;
  const int64_t panel_blocks = (group_blocks + panels - 1) / panels;
  for (int64_t g = 0; g < a.groups; ++g) {
    const int64_t end = (g + 1) * group_blocks;
    for (int64_t b = g * group_blocks; b < end; b += panel_blocks) {
      const int64_t count = end - b < panel_blocks ? end - b : panel_blocks;
      const bool first = b == g * group_blocks;
      const uint8_t* codes = tile_codes + b * kBlockBytes;
      const uint8_t* next = b + count < blocks ? codes + count * kBlockBytes : next_tiles;
      CodesAhead ahead(next, next + a.apart * blocks * kBlockBytes, count * kBlockBytes / 64,
                       count * ((m_end - m_begin + kPairRows - 1) / kPairRows));
      for (int64_t m = m_begin; m < m_end; m += kPairRows) {
        const int64_t rows = m_end - m < kPairRows ? m_end - m : kPairRows;
        const int8_t* x = a.x + m * a.x_stride + b * kBlockCols;
        PairSums& pair = sums[(m - m_begin) / kPairRows];
        const bool finished = b + count == end;
        if (rows < kPairRows) ConfigureTiles(rows);
        const auto add = rows > 16 ? (m == m_begin ? PanelRows<true, kTwoTiles, true>
                                                   : PanelRows<true, kTwoTiles, false>)
                                   : (m == m_begin ? PanelRows<false, kTwoTiles, true>
                                                   : PanelRows<false, kTwoTiles, false>);
        add(a, codes, count, x, first, panel, pair, ahead);
        if (rows < kPairRows) ConfigureTiles(kPairRows);
        if (finished) FinishGroup<kTwoTiles>(a, pair, m, rows, tile, g, totals + (m - m_begin));
      }
    }
  }
}

// Calls two(tile) for pairs of tiles and one(tile) for a last one.
template <class Two, class One>
inline void ForEachPair(const GemmArgs& a, Two two, One one) {
  int64_t tile = a.tile_begin;
  if (a.gate != GateKind::kNone) {
    for (; tile < a.tile_end; ++tile) two(tile);
    return;
  }
  for (; tile + 2 <= a.tile_end; tile += 2) two(tile);
  if (tile < a.tile_end) one(tile);
}

inline void FewRowsOfTiles(const GemmArgs& a) {
  ConfigureTiles(a.m);
  if (a.m > 16)
    ForEachPair(
        a, [&](int64_t tile) { FewRows<true, true>(a, tile); },
        [&](int64_t tile) { FewRows<true, false>(a, tile); });
  else
    ForEachPair(
        a, [&](int64_t tile) { FewRows<false, true>(a, tile); },
        [&](int64_t tile) { FewRows<false, false>(a, tile); });
}

// Rows of x in equal parts that stay in the second-level cache while all tiles pass.
inline void ManyRowsOfTiles(const GemmArgs& a) {
  ConfigureTiles(kPairRows);
  const int64_t cached = kCachedInput / a.x_stride / kPairRows * kPairRows;
  const int64_t most = cached < kPairRows ? kPairRows : cached < kMostRows ? cached : kMostRows;
  const int64_t parts = (a.m + most - 1) / most;
  const int64_t rows = ((a.m + parts - 1) / parts + kPairRows - 1) / kPairRows * kPairRows;
  for (int64_t m = 0; m < a.m; m += rows) {
    const int64_t end = a.m - m < rows ? a.m : m + rows;
    ForEachPair(
        a, [&](int64_t tile) { ManyRows<true>(a, tile, m, end); },
        [&](int64_t tile) { ManyRows<false>(a, tile, m, end); });
  }
}

inline void TernaryGemmAmx(const GemmArgs& a) {
  if (a.m <= kPairRows)
    FewRowsOfTiles(a);
  else
    ManyRowsOfTiles(a);
  _tile_release();
}

}  // namespace
}  // namespace tern::cpu
