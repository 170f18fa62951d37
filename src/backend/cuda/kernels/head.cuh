// What the kernels of the head share: how x is laid out for the tensor cores, and one step of a
// product.
//
// A step is one tile of kF16 or kBf16 (16 columns) or two of kInt8 (64 columns). A unit is what a
// step needs of 8 rows of x: four matrices of 8 rows of 16 bytes, which ldmatrix turns into the B
// operands of the step's two mma. kF16, kBf16: columns 0..7 and 8..15 of the high parts, then of
// the low parts; kInt8: columns 0..15, .. 48..63. Units stand in (groups, steps, blocks): a group
// is what one CTA takes, `blocks` times 8 rows.
//
// Each sum is taken by one warp, in increasing steps, the high parts of a step before its low
// parts: one order for every m, every kernel.
#pragma once

#include "backend/cuda/kernels/head_kernels.h"
#include "backend/cuda/kernels/ptx.cuh"

namespace tern::cuda {

inline constexpr int kUnitBytes = 512;

struct HeadLayout {
  int groups = 0;
  int blocks = 0;  // of 8 rows of x, in a group
  int steps = 0;

  int padded_rows() const { return groups * blocks * 8; }
  size_t unit_bytes() const { return static_cast<size_t>(groups) * steps * blocks * kUnitBytes; }
};

/// What a kernel gets.
struct HeadParams {
  const uint4* tiles = nullptr;
  const float* row_steps = nullptr;  // kInt8
  const uint4* units = nullptr;
  const float* x_steps = nullptr;  // (padded rows of x): what a sum is multiplied by
  float* logits = nullptr;
  int64_t logits_stride = 0;
  int m = 0;
  int rows = 0;  // of the table
  int k_tiles = 0;
  HeadLayout shape;

  __host__ __device__ int row_blocks() const { return (rows + kTileRows - 1) / kTileRows; }
};

union Tile {
  uint4 vector;
  uint32_t words[4];
};

template <TileType type>
struct HeadOp {
  using Sum = float;
  static constexpr int kTiles = 1;  // of a step
  static __device__ __forceinline__ void Step(Sum (&sum)[4], const Tile (&a)[kTiles],
                                              const uint32_t (&b)[4]) {
    if constexpr (type == TileType::kF16) {
      MmaF16(sum, a[0].words, b[0], b[1]);
      MmaF16(sum, a[0].words, b[2], b[3]);
    } else {
      MmaBf16(sum, a[0].words, b[0], b[1]);
      MmaBf16(sum, a[0].words, b[2], b[3]);
    }
  }
};

template <>
struct HeadOp<TileType::kInt8> {
  using Sum = int;
  static constexpr int kTiles = 2;
  static __device__ __forceinline__ void Step(Sum (&sum)[4], const Tile (&a)[kTiles],
                                              const uint32_t (&b)[4]) {
    MmaS8S8(sum, a[0].words, b[0], b[1]);
    MmaS8S8(sum, a[1].words, b[2], b[3]);
  }
};

/// What rows g and g + 8 of a row block are multiplied by.
template <TileType type>
__device__ __forceinline__ float2 RowSteps(const HeadParams& p, int row_block) {
  float2 steps = {1, 1};
  if constexpr (type == TileType::kInt8) {
    const int n = row_block * kTileRows + static_cast<int>(threadIdx.x) % 32 / 4;
    if (n < p.rows) steps.x = __ldg(p.row_steps + n);
    if (n + 8 < p.rows) steps.y = __ldg(p.row_steps + n + 8);
  }
  return steps;
}

/// Writes the logits of a row block: sums[j] has rows g, g + 8 and rows first_x + 8 j + 2t, + 1 of
/// x, whose steps x_steps has.
template <int kBlocks, class Sum>
__device__ __forceinline__ void StoreLogits(const HeadParams& p, int row_block, float2 row_steps,
                                            int first_x, const float* x_steps,
                                            const Sum (&sums)[kBlocks][4]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int n = row_block * kTileRows + lane / 4;
  int r = first_x + lane % 4 * 2;
  float* to = p.logits + r * p.logits_stride + n;
#pragma unroll
  for (int j = 0; j < kBlocks; ++j) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (r + i >= p.m) continue;
      const float x_step = x_steps[r + i];
      float* at = to + i * p.logits_stride;
      if (n < p.rows) at[0] = static_cast<float>(sums[j][i]) * (row_steps.x * x_step);
      if (n + 8 < p.rows) at[8] = static_cast<float>(sums[j][2 + i]) * (row_steps.y * x_step);
    }
    r += 8;
    to += 8 * p.logits_stride;
  }
}

/// The kernels of head_kernels.h, and how each wants x; kStream can't take it if blocks == 0.
void StartHeadStream(TileType type, const HeadParams& params, const Launch& launch);
HeadLayout HeadStreamLayout(TileType type, int m, int k_tiles);
void StartHeadWgmma(TileType type, const HeadParams& params, const Launch& launch);
HeadLayout HeadWgmmaLayout(TileType type, int m, int k_tiles);
void StartHeadTiled(TileType type, const HeadParams& params, const Launch& launch);
HeadLayout HeadTiledLayout(TileType type, int m, int k_tiles);

/// Steps of so many tiles.
inline int HeadSteps(TileType type, int k_tiles) {
  return type == TileType::kInt8 ? (k_tiles + 1) / 2 : k_tiles;
}

/// Calls run<type>() for a table in tiles.
template <class Run>
void WithTableType(TileType type, Run run) {
  switch (type) {
    case TileType::kF16:
      return run.template operator()<TileType::kF16>();
    case TileType::kBf16:
      return run.template operator()<TileType::kBf16>();
    case TileType::kInt8:
      return run.template operator()<TileType::kInt8>();
    case TileType::kTernary:
      break;  // no table is
  }
}

}  // namespace tern::cuda
