#include <mutex>

#include "backend/cuda/kernels/head.cuh"

namespace tern::cuda {
namespace {

// Of a multiprocessor's 227 KiB a block can have.
constexpr size_t kMaxShared = 164 * 1024;

/// Each warp takes a run of row blocks and keeps kDepth steps of weights under way, across the
/// borders of row blocks and while the units are still on their way.
template <TileType type, int kBlocks, int kWarps, int kDepth>
__global__ void __launch_bounds__(kWarps * 32, 1) StreamKernel(const HeadParams p) {
  using Op = HeadOp<type>;
  extern __shared__ uint4 units[];
  __shared__ float x_steps[kBlocks * 8];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t warp = blockIdx.x * kWarps + threadIdx.x / 32;
  const int64_t warps = gridDim.x * kWarps;
  int row_block = static_cast<int>(p.row_blocks() * warp / warps);
  const int end = static_cast<int>(p.row_blocks() * (warp + 1) / warps);
  const int steps = p.shape.steps;

  Tile ring[kDepth][Op::kTiles] = {};
  const auto load = [&](int d, const uint4* tile, int left) {
#pragma unroll
    for (int i = 0; i < Op::kTiles; ++i) {
      const int at = d * Op::kTiles + i;
      if (at < left) ring[d][i].vector = LoadStream(tile + at * 32);
    }
  };
  const uint4* tile = p.tiles + static_cast<int64_t>(row_block) * p.k_tiles * 32 + lane;
  if (row_block < end) {
#pragma unroll
    for (int d = 0; d < kDepth; ++d) load(d, tile, p.k_tiles);
  }

  ReleaseSuccessor();
  WaitForPredecessor();
  // Of each matrix only the rows that there are: the others are columns of B that nobody stores.
  const int rows = min(p.m, 8);
  for (int i = static_cast<int>(threadIdx.x); i < steps * kBlocks * 4 * rows; i += kWarps * 32) {
    const int at = i / rows * 8 + i % rows;
    CopyAsync16(units + at, p.units + at);
  }
  CommitCopies();
  if (threadIdx.x < kBlocks * 8) x_steps[threadIdx.x] = p.x_steps[threadIdx.x];
  WaitCopies<0>();
  __syncthreads();

  while (row_block < end) {
    const float2 row_steps = RowSteps<type>(p, row_block);
    typename Op::Sum sums[kBlocks][4] = {};
    const uint4* unit = units + lane;
    const auto round = [&](int valid, const uint4* next, int left) {
#pragma unroll
      for (int d = 0; d < kDepth; ++d) {
        if (d < valid) {
#pragma unroll
          for (int j = 0; j < kBlocks; ++j) {
            uint32_t b[4];
            LoadMatrix4(b, unit + (d * kBlocks + j) * 32);
            Op::Step(sums[j], ring[d], b);
          }
        }
        load(d, next, left);
      }
      unit += kDepth * kBlocks * 32;
    };
    int step = 0;
    for (; step + kDepth < steps; step += kDepth) {
      tile += kDepth * Op::kTiles * 32;
      round(kDepth, tile, p.k_tiles - (step + kDepth) * Op::kTiles);
    }
    // The last round of this row block loads the first of the next.
    ++row_block;
    tile = p.tiles + static_cast<int64_t>(row_block) * p.k_tiles * 32 + lane;
    round(steps - step, tile, row_block < end ? p.k_tiles : 0);
    StoreLogits(p, row_block - 1, row_steps, 0, x_steps, sums);
  }
}

template <TileType type, int kBlocks, int kWarps, int kDepth>
void StartOne(const HeadParams& p, const Launch& launch) {
  auto* kernel = &StreamKernel<type, kBlocks, kWarps, kDepth>;
  static std::once_flag once;
  std::call_once(once, [&] {
    (void)cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(kMaxShared));
  });
  Start(launch, kernel, launch.multiprocessors, kWarps * 32, p.shape.unit_bytes(), p);
}

template <TileType type>
void StartType(const HeadParams& p, const Launch& launch) {
  constexpr int kTiles = HeadOp<type>::kTiles;
  if (p.shape.blocks == 1) return StartOne<type, 1, 16, 16 / kTiles>(p, launch);
  return StartOne<type, 2, 16, 8 / kTiles>(p, launch);
}

}  // namespace

HeadLayout HeadStreamLayout(TileType type, int m, int k_tiles) {
  HeadLayout shape{1, 1, HeadSteps(type, k_tiles)};
  while (shape.blocks * 8 < m) shape.blocks *= 2;
  if (shape.blocks > 2 || shape.unit_bytes() > kMaxShared) shape.blocks = 0;
  return shape;
}

void StartHeadStream(TileType type, const HeadParams& params, const Launch& launch) {
  WithTableType(type, [&]<TileType kType>() { StartType<kType>(params, launch); });
}

}  // namespace tern::cuda
