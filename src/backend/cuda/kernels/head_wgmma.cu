#include <mutex>

#include "backend/cuda/kernels/head.cuh"
#include "backend/cuda/kernels/ptx_head.cuh"

namespace tern::cuda {
namespace {

constexpr int kMaxBlocks = 32;  // of 8 rows of x, in a CTA
constexpr int kStageSteps = 2;  // of units, in a buffer

/// How a kernel is built for so many blocks.
#pragma nv_diag_suppress 177  // what only Hopper's code uses
template <TileType type, int kBlocks>
struct Form {
  // Of 64 rows of the table each: as many as there are registers for. One more fetches units.
  static constexpr int kWarpgroups = kBlocks <= 16 ? 4 : 2;
  static constexpr int kThreads = (kWarpgroups + 1) * 128;
  // Of a thread of the warpgroups that multiply; of the one that fetches.
  static constexpr int kRegisters = kWarpgroups == 4 ? 112 : 240;
  static constexpr int kFetchRegisters = 24;
  // Steps of weights under way.
  static constexpr int kDepth =
      (kBlocks <= 8 ? 8 : 4) / (type == TileType::kInt8 && kBlocks <= 16 ? 2 : 1);
  static constexpr int kStageBytes = kStageSteps * kBlocks * kUnitBytes;
  static constexpr int kStages = kBlocks <= 8 ? 8 : 6;
  static constexpr int kShared = kStages * kStageBytes;
};

#ifdef TERN_HOPPER
template <TileType type, int kBlocks>
__device__ __forceinline__ void MultiplyAsync(typename HeadOp<type>::Sum (&sums)[kBlocks][4],
                                              const Tile& tile, uint64_t units) {
  if constexpr (type == TileType::kF16)
    MultiplyAsyncF16(sums, tile.words, units);
  else if constexpr (type == TileType::kBf16)
    MultiplyAsyncBf16(sums, tile.words, units);
  else
    MultiplyAsyncS8(sums, tile.words, units);
}
#endif

/// Warpgroups take 64 rows of the table each, weights straight from memory to registers, and all
/// the rows of one group of x. Its units come into buffers that all CTAs of a cluster have alike:
/// the last warp of each fetches its share for all.
template <TileType type, int kBlocks, int kCluster>
__global__ void __launch_bounds__(Form<type, kBlocks>::kThreads, 1)
    WgmmaKernel(const __grid_constant__ HeadParams p) {
#ifdef TERN_HOPPER
  using Op = HeadOp<type>;
  using F = Form<type, kBlocks>;
  constexpr int kDepth = F::kDepth;
  extern __shared__ __align__(1024) uint8_t buffers[];
  __shared__ uint64_t full[F::kStages];
  __shared__ uint64_t empty[F::kStages];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int row_block = static_cast<int>(blockIdx.x) * F::kWarpgroups * 4 + warp;
  const int steps = p.shape.steps;

  if (threadIdx.x == 0) {
    for (int i = 0; i < F::kStages; ++i) {
      InitBarrier(&full[i], 1);
      InitBarrier(&empty[i], kCluster * F::kWarpgroups * 4);
    }
    FenceBarrierInit();
  }
  ArriveCluster();
  WaitCluster();
  ReleaseSuccessor();

  if (warp >= F::kWarpgroups * 4) {
    ShrinkRegisters<F::kFetchRegisters>();
    if (warp == F::kWarpgroups * 4 && lane == 0) {
      WaitForPredecessor();
      const int rank = static_cast<int>(blockIdx.x) % kCluster;
      const auto* units = reinterpret_cast<const uint8_t*>(p.units) +
                          static_cast<int64_t>(blockIdx.y) * steps * kBlocks * kUnitBytes;
      int stage = 0;
      uint32_t phase = 1;
      for (int step = 0; step < steps; step += kStageSteps) {
        if (step >= F::kStages * kStageSteps) WaitPhaseOfCluster(&empty[stage], phase);
        const int bytes = min(kStageSteps, steps - step) * kBlocks * kUnitBytes;
        ArriveExpecting(&full[stage], bytes);
        const int share = bytes / kCluster;
        CopyBytesToAll(SharedAddress(buffers) + stage * F::kStageBytes + rank * share,
                       units + static_cast<int64_t>(step) * kBlocks * kUnitBytes + rank * share,
                       share, SharedAddress(&full[stage]), (1 << kCluster) - 1);
        if (++stage == F::kStages) {
          stage = 0;
          phase ^= 1;
        }
      }
    }
  } else {
    GrowRegisters<F::kRegisters>();
    const uint4* tiles =
        p.tiles + static_cast<int64_t>(min(row_block, p.row_blocks() - 1)) * p.k_tiles * 32 + lane;
    Tile ring[kDepth][Op::kTiles];
    // Beyond the last tile: that one again, for nobody.
    const auto load = [&](int d, int step) {
#pragma unroll
      for (int i = 0; i < Op::kTiles; ++i)
        ring[d][i].vector = LoadStream(tiles + min(step * Op::kTiles + i, p.k_tiles - 1) * 32);
    };
#pragma unroll
    for (int d = 0; d < kDepth - 1; ++d) load(d, d);
    const float2 row_steps = RowSteps<type>(p, row_block);
    WaitForPredecessor();
    typename Op::Sum sums[kBlocks][4] = {};
    const uint32_t units = SharedAddress(buffers);
    const uint32_t empties = ClusterAddress(SharedAddress(empty), lane % kCluster);
    int stage = 0;
    int last_stage = 0;
    uint32_t phase = 0;
    const auto multiply = [&](int d, int step) {
      if (d % kStageSteps == 0) WaitPhase(&full[stage], phase);
      const uint32_t at = units + stage * F::kStageBytes + d % kStageSteps * kBlocks * kUnitBytes;
      FenceProducts();
      MultiplyAsync<type, kBlocks>(sums, ring[d][0], HalfUnits(at));
      MultiplyAsync<type, kBlocks>(sums, ring[d][Op::kTiles - 1], HalfUnits(at + kUnitBytes / 2));
      CommitProducts();
    };
    const auto finish = [&](int d, int step) {
      // What the step before has read is free.
      if (d % kStageSteps == 0)
        ArriveRemoteIf(lane < kCluster && step > 0,
                       empties + last_stage * static_cast<uint32_t>(sizeof(uint64_t)));
      if (d % kStageSteps == kStageSteps - 1) {
        last_stage = stage;
        if (++stage == F::kStages) {
          stage = 0;
          phase ^= 1;
        }
      }
      load((d + kDepth - 1) % kDepth, step - 1 + kDepth);
    };
    int step = 0;
    for (; step + kDepth <= steps; step += kDepth) {
#pragma unroll
      for (int d = 0; d < kDepth; ++d) {
        multiply(d, step + d);
        WaitProducts<1>();
        finish(d, step + d);
      }
    }
    WaitProducts<0>();
#pragma unroll
    for (int d = 0; d < kDepth - 1; ++d) {
      if (step + d < steps) {
        multiply(d, step + d);
        WaitProducts<0>();
        finish(d, step + d);
      }
    }
    StoreLogits(p, row_block, row_steps, static_cast<int>(blockIdx.y) * kBlocks * 8, p.x_steps,
                sums);
  }
  // Others may still copy to here.
  ArriveCluster();
  WaitCluster();
#endif
}

template <TileType type, int kBlocks, int kCluster>
void StartForm(const HeadParams& p, const Launch& launch) {
  using F = Form<type, kBlocks>;
  auto* kernel = &WgmmaKernel<type, kBlocks, kCluster>;
  static std::once_flag once;
  std::call_once(once, [&] {
    (void)cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, F::kShared);
  });
  cudaLaunchAttribute attributes[2] = {};
  attributes[0].id = cudaLaunchAttributeClusterDimension;
  attributes[0].val.clusterDim = {kCluster, 1, 1};
  attributes[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[1].val.programmaticStreamSerializationAllowed = 1;
  constexpr int kClusterBlocks = F::kWarpgroups * 4 * kCluster;
  const int clusters = (p.row_blocks() + kClusterBlocks - 1) / kClusterBlocks;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(clusters * kCluster, p.shape.groups);
  config.blockDim = F::kThreads;
  config.dynamicSmemBytes = F::kShared;
  config.stream = launch.stream;
  config.attrs = attributes;
  config.numAttrs = launch.dependent ? 2 : 1;
  (void)cudaLaunchKernelEx(&config, kernel, p);
}

template <TileType type, int kBlocks>
void StartOne(const HeadParams& p, const Launch& launch) {
  // Two share units where these are most of what is read.
  StartForm<type, kBlocks, (kBlocks > 16 ? 2 : 1)>(p, launch);
}

template <TileType type>
void StartType(const HeadParams& p, const Launch& launch) {
  switch (p.shape.blocks) {
    case 8:
      return StartOne<type, 8>(p, launch);
    case 16:
      return StartOne<type, 16>(p, launch);
    case 24:
      return StartOne<type, 24>(p, launch);
    default:
      return StartOne<type, 32>(p, launch);
  }
}

}  // namespace

HeadLayout HeadWgmmaLayout(TileType type, int m, int k_tiles) {
  HeadLayout shape;
  shape.groups = (m + kMaxBlocks * 8 - 1) / (kMaxBlocks * 8);
  const int rows = (m + shape.groups - 1) / shape.groups;
  shape.blocks = (rows + 63) / 64 * 8;
  shape.steps = HeadSteps(type, k_tiles);
  return shape;
}

void StartHeadWgmma(TileType type, const HeadParams& params, const Launch& launch) {
  WithTableType(type, [&]<TileType kType>() { StartType<kType>(params, launch); });
}

}  // namespace tern::cuda
