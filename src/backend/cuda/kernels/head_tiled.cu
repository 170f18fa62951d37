#include <mutex>

#include "backend/cuda/kernels/head.cuh"

namespace tern::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kMaxBlocks = 16;  // of 8 rows of x, in a CTA

/// A CTA takes kWarps * kRowBlocks row blocks and one group of x, whose units pass through kStages
/// buffers in chunks of kDepth steps; weights go from memory to registers, a chunk ahead.
template <TileType type, int kBlocks, int kRowBlocks, int kStages>
__global__ void __launch_bounds__(kWarps * 32, kBlocks* kRowBlocks <= 16 ? 2 : 1)
    TiledKernel(const HeadParams p) {
  using Op = HeadOp<type>;
  constexpr int kDepth = 4 / Op::kTiles;
  constexpr int kChunk = kDepth * kBlocks * 32;  // vectors
  extern __shared__ uint4 buffers[];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  // Groups side by side: who comes second finds the weights in L2.
  const int group = static_cast<int>(blockIdx.x) % p.shape.groups;
  const int row_block =
      (static_cast<int>(blockIdx.x) / p.shape.groups * kWarps + warp) * kRowBlocks;
  const int steps = p.shape.steps;

  const uint4* tiles[kRowBlocks];
#pragma unroll
  for (int r = 0; r < kRowBlocks; ++r) {
    const int64_t block = min(row_block + r, p.row_blocks() - 1);
    tiles[r] = p.tiles + block * p.k_tiles * 32 + lane;
  }
  Tile ring[kDepth][kRowBlocks][Op::kTiles] = {};
  const auto load = [&](int d, int tile) {
#pragma unroll
    for (int i = 0; i < Op::kTiles; ++i) {
      const int at = tile + d * Op::kTiles + i;
      if (at >= p.k_tiles) continue;
#pragma unroll
      for (int r = 0; r < kRowBlocks; ++r) ring[d][r][i].vector = LoadStream(tiles[r] + at * 32);
    }
  };
#pragma unroll
  for (int d = 0; d < kDepth; ++d) load(d, 0);
  float2 row_steps[kRowBlocks];
#pragma unroll
  for (int r = 0; r < kRowBlocks; ++r) row_steps[r] = RowSteps<type>(p, row_block + r);

  ReleaseSuccessor();
  WaitForPredecessor();
  const uint4* units = p.units + static_cast<int64_t>(group) * steps * kBlocks * 32;
  const int chunks = (steps + kDepth - 1) / kDepth;
  const auto fetch = [&](int chunk) {
    if (chunk < chunks) {
      const int count = min(kChunk, steps * kBlocks * 32 - chunk * kChunk);
      uint4* to = buffers + chunk % kStages * kChunk;
      for (int i = static_cast<int>(threadIdx.x); i < count; i += kWarps * 32)
        CopyAsync16(to + i, units + static_cast<int64_t>(chunk) * kChunk + i);
    }
    CommitCopies();
  };
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) fetch(s);

  typename Op::Sum sums[kRowBlocks][kBlocks][4] = {};
  const auto compute = [&](int chunk, int valid) {
    const uint4* unit = buffers + chunk % kStages * kChunk + lane;
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
      if (d < valid) {
#pragma unroll
        for (int j = 0; j < kBlocks; ++j) {
          uint32_t b[4];
          LoadMatrix4(b, unit + (d * kBlocks + j) * 32);
#pragma unroll
          for (int r = 0; r < kRowBlocks; ++r) Op::Step(sums[r][j], ring[d][r], b);
        }
      }
      load(d, (chunk + 1) * kDepth * Op::kTiles);
    }
  };
  for (int chunk = 0; chunk < chunks; ++chunk) {
    WaitCopies<kStages - 2>();
    __syncthreads();
    fetch(chunk + kStages - 1);
    const int valid = steps - chunk * kDepth;
    if (valid >= kDepth)
      compute(chunk, kDepth);
    else
      compute(chunk, valid);
  }
#pragma unroll
  for (int r = 0; r < kRowBlocks; ++r)
    StoreLogits(p, row_block + r, row_steps[r], group * kBlocks * 8, p.x_steps, sums[r]);
}

template <TileType type, int kBlocks>
void StartOne(const HeadParams& p, const Launch& launch) {
  constexpr int kRowBlocks = 2;
  constexpr int kStages = 3;
  constexpr size_t kShared =
      static_cast<size_t>(kStages) * (4 / HeadOp<type>::kTiles) * kBlocks * kUnitBytes;
  auto* kernel = &TiledKernel<type, kBlocks, kRowBlocks, kStages>;
  static std::once_flag once;
  std::call_once(once, [&] {
    (void)cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(kShared));
  });
  constexpr int kCtaBlocks = kWarps * kRowBlocks;
  const int ctas = (p.row_blocks() + kCtaBlocks - 1) / kCtaBlocks * p.shape.groups;
  Start(launch, kernel, ctas, kWarps * 32, kShared, p);
}

template <TileType type>
void StartType(const HeadParams& p, const Launch& launch) {
  switch (p.shape.blocks) {
    case 4:
      return StartOne<type, 4>(p, launch);
    case 8:
      return StartOne<type, 8>(p, launch);
    case 12:
      return StartOne<type, 12>(p, launch);
    default:
      return StartOne<type, 16>(p, launch);
  }
}

}  // namespace

HeadLayout HeadTiledLayout(TileType type, int m, int k_tiles) {
  HeadLayout shape;
  shape.groups = (m + kMaxBlocks * 8 - 1) / (kMaxBlocks * 8);
  const int rows = (m + shape.groups - 1) / shape.groups;
  shape.blocks = (rows + 31) / 32 * 4;
  shape.steps = HeadSteps(type, k_tiles);
  return shape;
}

void StartHeadTiled(TileType type, const HeadParams& params, const Launch& launch) {
  WithTableType(type, [&]<TileType kType>() { StartType<kType>(params, launch); });
}

}  // namespace tern::cuda
