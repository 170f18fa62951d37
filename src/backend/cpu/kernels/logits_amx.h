// The int8 head on AMX: sixteen planes of the packed layout are one tile of 16 outputs by 64
// inputs, as TDPBSUD's right operand lies, so it is loaded where it is. Include it
// only from targets/amx.cc. Tile numbers are literals: GCC's intrinsics are macros that paste them.
#pragma once

#include "backend/cpu/kernels/float_ops.h"
#include "backend/cpu/kernels/tiles.h"
#include "backend/cpu/logits_contract.h"

namespace tern::cpu {
namespace {

constexpr int64_t kHeadBlockPlanes = 16;
constexpr int64_t kHeadBlockBytes = kHeadBlockPlanes * kPlaneBytes;
constexpr int64_t kHeadBlockCols = kHeadBlockPlanes * kPlaneCols;
// The hardware's prefetcher stops at the end of a page.
constexpr int64_t kHeadAhead = 4096;

// Sums of rows [m0, m0 + rows) by 16 outputs from tile `tile` on, as floats. Sums wrap around 2^32,
// and the correction for stored weights of w + 128 brings them back (see logits_int8.h).
inline void StoreHeadTile(const Int8LogitsArgs& a, const int32_t (*sums)[kHeadTileRows],
                          int64_t tile, int64_t m0, int64_t rows) {
  const int64_t n0 = tile * kHeadTileRows;
  const int64_t count = a.n - n0;
  const auto mask = static_cast<__mmask16>(count >= kHeadTileRows ? 0xffff : (1 << count) - 1);
  const F16 scales = Load(a.scales + n0);
  for (int64_t r = 0; r < rows; ++r) {
    const uint32_t offset =
        static_cast<uint32_t>(kWeightOffset) * static_cast<uint32_t>(a.sums[m0 + r]);
    const U16 wrapped = __builtin_bit_cast(U16, *reinterpret_cast<const I16*>(sums[r])) - offset;
    const F16 y =
        __builtin_convertvector(__builtin_bit_cast(I16, wrapped), F16) * (scales * a.step[m0 + r]);
    _mm512_mask_storeu_ps(a.y + (m0 + r) * a.y_stride + n0, mask, (__m512)y);
  }
}

// Rows [m0, m0 + rows) of x, rows <= 32, by one or two tiles of outputs. Tiles 0..3 hold the sums
// of (rows 0, outputs 0), (0, 1), (1, 0), (1, 1).
template <bool kTwoRowTiles, bool kTwoTiles>
inline void HeadBlock(const Int8LogitsArgs& a, int64_t tile, int64_t m0, int64_t rows) {
  const int64_t tile_bytes = a.planes * kPlaneBytes;
  const uint8_t* codes = a.codes + tile * tile_bytes;
  const int8_t* x = a.x + m0 * a.x_stride;
  _tile_zero(0);
  if constexpr (kTwoTiles) _tile_zero(1);
  if constexpr (kTwoRowTiles) _tile_zero(2);
  if constexpr (kTwoRowTiles && kTwoTiles) _tile_zero(3);
  for (int64_t b = 0; b < a.planes / kHeadBlockPlanes; ++b) {
    const uint8_t* from = codes + b * kHeadBlockBytes;
    if (m0 == 0) {
#pragma GCC unroll 16
      for (int64_t i = 0; i < kHeadBlockBytes; i += 64) {
        __builtin_prefetch(from + kHeadAhead + i);
        if constexpr (kTwoTiles) __builtin_prefetch(from + tile_bytes + kHeadAhead + i);
      }
    }
    StoresBeforeTiles();
    _tile_loadd(6, from, 64);
    if constexpr (kTwoTiles) _tile_loadd(7, from + tile_bytes, 64);
    _tile_loadd(4, x + b * kHeadBlockCols, a.x_stride);
    if constexpr (kTwoRowTiles)
      _tile_loadd(5, x + 16 * a.x_stride + b * kHeadBlockCols, a.x_stride);
    _tile_dpbsud(0, 4, 6);
    if constexpr (kTwoTiles) _tile_dpbsud(1, 4, 7);
    if constexpr (kTwoRowTiles) _tile_dpbsud(2, 5, 6);
    if constexpr (kTwoRowTiles && kTwoTiles) _tile_dpbsud(3, 5, 7);
  }
  alignas(64) int32_t sums[4][16][kHeadTileRows];
  _tile_stored(0, sums[0], 64);
  if constexpr (kTwoTiles) _tile_stored(1, sums[1], 64);
  if constexpr (kTwoRowTiles) _tile_stored(2, sums[2], 64);
  if constexpr (kTwoRowTiles && kTwoTiles) _tile_stored(3, sums[3], 64);
  StoresBeforeTiles();
  for (int t = 0; t < (kTwoTiles ? 2 : 1); ++t) {
    StoreHeadTile(a, sums[t], tile + t, m0, rows < 16 ? rows : 16);
    if constexpr (kTwoRowTiles) StoreHeadTile(a, sums[2 + t], tile + t, m0 + 16, rows - 16);
  }
}

template <bool kTwoTiles>
inline void HeadRows(const Int8LogitsArgs& a, int64_t tile) {
  for (int64_t m = 0; m < a.m; m += kPairRows) {
    const int64_t rows = a.m - m < kPairRows ? a.m - m : kPairRows;
    if (rows < kPairRows && a.m > kPairRows) ConfigureTiles(rows);
    if (rows > 16)
      HeadBlock<true, kTwoTiles>(a, tile, m, rows);
    else
      HeadBlock<false, kTwoTiles>(a, tile, m, rows);
    if (rows < kPairRows && a.m > kPairRows) ConfigureTiles(kPairRows);
  }
}

inline void Int8LogitsAmx(const Int8LogitsArgs& a) {
  ConfigureTiles(a.m);
  int64_t tile = a.tile_begin;
  for (; tile + 2 <= a.tile_end; tile += 2) HeadRows<true>(a, tile);
  if (tile < a.tile_end) HeadRows<false>(a, tile);
  _tile_release();
}

}  // namespace
}  // namespace tern::cpu
