// What a kernel of the output head gets and gives. Freestanding, like kernel_contract.h.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace tern::cpu {

/// How a row of the token table lies in memory: the dense types of tensor/dense_matrix.h as files
/// keep them, and ternary codes in the storage of tensor/ternary_matrix.h.
enum class RowFormat : uint8_t { kF32, kF16, kBF16, kQ8_0, kQ4_0, kQ4_K, kQ6_K, kTernary };
inline constexpr int kRowFormats = 8;

/// y[m][n] = x[m] . row n, in the fixed order of 16 lanes (base/math.h) and without contraction:
/// the bits of decoding the row to float first.
struct LogitsArgs {
  const uint8_t* table;  // row n at table + n * row_bytes
  int64_t row_bytes;
  const float* scales;   // kTernary: row n has its own at scales + n * scale_stride
  int64_t scale_stride;  // 0: all rows share them
  int64_t group;         // kTernary: columns that share a scale; a multiple of 16, or k
  const float* x;        // (m, x_stride)
  float* y;              // (m, y_stride)
  int64_t x_stride;
  int64_t y_stride;
  int64_t m;
  int64_t k;
  int64_t begin;  // rows [begin, end) of the table are wanted
  int64_t end;
};

using LogitsFunction = void (*)(const LogitsArgs&);

/// The functions of one instruction set, indexed by RowFormat.
struct LogitsOps {
  LogitsFunction of[kRowFormats];
};

/// The packed layout "n16k4" with one byte a weight: a tile is 16 outputs, cut into planes of 4
/// inputs; the byte at 4 * n + j of a plane's 64 holds weight + 128 of output n and input j. Inputs
/// are padded to kInputPadding, so that 16 planes in a row are the B operand of one AMX tile
/// product.
inline constexpr int64_t kHeadTileRows = 16;
inline constexpr int64_t kPlaneCols = 4;
inline constexpr int64_t kPlaneBytes = 64;
inline constexpr int32_t kWeightOffset = 128;
/// |sum q * w| <= 128 * 128 * k stays inside int32 up to here. Sums on the way may wrap.
inline constexpr int64_t kMaxHeadCols = 131008;

/// y[m][n] = float(sum_k q[m][k] * w[n][k]) * (scale[n] * step[m]).
struct Int8LogitsArgs {
  const uint8_t* codes;  // (tiles, planes, 64)
  const float* scales;   // (tiles, 16)
  const int8_t* x;       // (m, x_stride), zero beyond the inputs
  const float* step;     // (m)
  const int32_t* sums;   // (m): sum of q
  float* y;              // (m, y_stride)
  int64_t x_stride;
  int64_t y_stride;
  int64_t m;
  int64_t n;           // outputs; the last tile may be partly beyond
  int64_t planes;      // of a tile: a multiple of 16
  int64_t tile_begin;  // tiles [tile_begin, tile_end) are wanted
  int64_t tile_end;
};

using Int8LogitsFunction = void (*)(const Int8LogitsArgs&);

}  // namespace tern::cpu
