// Attention over a bfloat16 cache on AMX: keys and values lie as the tiles that TDPBF16PS
// multiplies (backend/kv_layout.h), and the specification is written in its order, so that the bits
// are those of every other kernel. Include it only from targets/amx.cc, after attention.h.
#pragma once

#include "backend/cpu/kernels/attention.h"
#include "backend/cpu/kernels/tiles.h"

namespace tern::cpu {
namespace {

constexpr int64_t kMostHeadDim = 256;

// Floats that are bfloat16 already, as such; n is a multiple of 16.
inline void Narrow(const float* x, int64_t n, uint16_t* out) {
  for (int64_t i = 0; i < n; i += kLanes)
    *reinterpret_cast<H16*>(out + i) =
        __builtin_convertvector(__builtin_bit_cast(U16, Load(x + i)) >> 16, H16);
}

// Tiles 0 and 1: sums; 4: queries or weights; 6 and 7: keys or values.
inline void AttendNarrowAmx(const AttendNarrowArgs& a) {
  const int64_t d = a.head_dim;
  if (a.type != CacheType::kBf16 || d % 32 != 0 || d > kMostHeadDim) return AttendNarrow(a);
  alignas(64) uint16_t q[kMostQueries * kMostHeadDim];
  Narrow(a.q, a.rows * d, q);
  alignas(64) float weights[kMostQueries][kMaxBlock];
  alignas(64) uint16_t narrow[kMostQueries][kMaxBlock];
  const int64_t pieces = (MostPositions(a, 0, a.rows) + kPiecePositions - 1) / kPiecePositions;
  const int64_t padded = pieces * kPiecePositions;
  ConfigureTiles(a.rows);
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const auto* k = static_cast<const uint16_t*>(a.k[piece]);
    float* scores = &weights[0][piece * kPiecePositions];
    _tile_zero(0);
    _tile_zero(1);
    StoresBeforeTiles();
    for (int64_t i = 0; i < d; i += 32) {
      _tile_loadd(4, q + i, d * 2);
      _tile_loadd(6, k + i * 16, 64);
      _tile_loadd(7, k + 16 * d + i * 16, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
    }
    _tile_stored(0, scores, sizeof weights[0]);
    _tile_stored(1, scores + 16, sizeof weights[0]);
  }
  for (int64_t r = 0; r < a.rows; ++r) {
    Softmax<CacheType::kBf16>(a, r, padded, weights[r]);
    Narrow(weights[r], padded, narrow[r]);
  }
  for (int64_t i = 0; i < d; i += 32) {
    _tile_zero(0);
    _tile_zero(1);
    StoresBeforeTiles();
    for (int64_t piece = 0; piece < pieces; ++piece) {
      const auto* v = static_cast<const uint16_t*>(a.v[piece]);
      _tile_loadd(4, &narrow[0][piece * kPiecePositions], sizeof narrow[0]);
      _tile_loadd(6, v + i * 2, d * 4);
      _tile_loadd(7, v + i * 2 + 32, d * 4);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
    }
    _tile_stored(0, a.out + i, d * 4);
    _tile_stored(1, a.out + i + 16, d * 4);
  }
  _tile_release();
}

}  // namespace
}  // namespace tern::cpu
