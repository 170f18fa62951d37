// What a ternary matrix kernel gets and gives. Freestanding on purpose: this header is compiled
// with the flags of every instruction set, and must not bring in inline functions that another file
// could end up calling.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace tern::cpu {

/// The packed layout "n16k4": a tile is 16 outputs; it is cut into steps of 16 inputs; a step is 64
/// bytes, where the byte at 4 * n + j holds the codes (0..2 = -1..+1) of output n and inputs j, 4 +
/// j, 8 + j, 12 + j at bits 0, 2, 4 and 6. So a plane (one pair of bits of all 64 bytes) is 16
/// outputs by 4 inputs: what VPDPBUSD and SDOT multiply with 4 broadcast activations, and one row
/// of an AMX tile.
inline constexpr int64_t kTileRows = 16;
inline constexpr int64_t kStepCols = 16;
inline constexpr int64_t kStepBytes = 64;
inline constexpr int64_t kStepsPerPad = 4;  // inputs are padded to 64: kInputPadding

/// What becomes of a gate before it is multiplied.
enum class GateKind : uint8_t { kNone, kReluSquared, kSilu };

/// y[m][n] = sum over groups g, in order, of float(sum_k q[m][k] * w[n][k]) * (scale[n][g] *
/// step[m][g]).
struct GemmArgs {
  const uint8_t* codes;  // (tiles, steps, 64)
  const float* scales;   // (tiles, groups, 16)
  const int8_t* x;       // (m, x_stride), zero beyond the inputs
  const float* step;     // (m, groups)
  const int32_t* sums;   // (m, groups): sum of q, because codes are one larger than weights
  float* y;              // (m, y_stride)
  int64_t x_stride;
  int64_t y_stride;
  int64_t m;      // rows of x
  int64_t n;      // outputs; the last tile may be partly beyond
  int64_t steps;  // of a tile, all groups together
  int64_t groups;
  int64_t tile_begin;  // tiles [tile_begin, tile_end) are wanted
  int64_t tile_end;
  bool add;  // y += instead of y =
  // kNone, or y[m][n] = gate(g) * u: g is output n, u is output n of the tiles `apart` further on.
  // Then tile_begin, tile_end and n count gates.
  GateKind gate = GateKind::kNone;
  int64_t apart = 1;
};

using GemmFunction = void (*)(const GemmArgs&);

}  // namespace tern::cpu
