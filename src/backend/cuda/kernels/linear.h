// Ternary linear layers: int8 rows times ternary weights, exact sums in int32.
#pragma once

#include <cstdint>

#include "backend/cuda/kernels/launch.h"
#include "backend/cuda/kernels/tiles.h"

namespace tern::cuda {

enum class Gate : uint8_t { kNone, kReluSquared, kSilu };

/// y[m][n] = float(sum of q[m] w[n]) * (scale[n] * step[m]), stored or added; with a gate the first
/// half of the rows of w gates the second, and y has half as many columns.
struct LinearArgs {
  const int8_t* q = nullptr;    // (m, q_stride), rows start at 16 bytes; zero from cols to q_stride
  int64_t q_stride = 0;         // at least cols; columns of w beyond q_stride hold zero codes
  const float* step = nullptr;  // (m), or (m, groups)
  const int32_t* sums = nullptr;  // (m), or (m, groups): sum of q, which a code of value + 1 needs
  int m = 0;
  TiledMatrix w;                 // kTernary
  const float* scale = nullptr;  // (rows), or (rows, groups)
  int group = 0;                 // columns that share a scale, a multiple of 32; cols: one group
  float* y = nullptr;            // (m, y_stride)
  int64_t y_stride = 0;
  bool add = false;
  Gate gate = Gate::kNone;
};

/// Most columns of LinearFew.
inline constexpr int kFewCols = 24576;

/// For few rows, on any GPU: a warp streams tiles and multiplies with mma.sync (one group).
void LinearFew(const LinearArgs& args, const Launch& launch);
/// For more than 16 rows, on Hopper: wgmma, weights through registers, rows through TMA (one
/// group).
void LinearMany(const LinearArgs& args, const Launch& launch);
/// Several groups: sums of a group are exact, groups are added in increasing order in float.
void LinearGrouped(const LinearArgs& args, const Launch& launch);

/// Float activations: x (args.m, x_stride) in place of q; sums are the GPU's own.
void LinearFloat(const float* x, int64_t x_stride, const LinearArgs& args, const Launch& launch);

}  // namespace tern::cuda
