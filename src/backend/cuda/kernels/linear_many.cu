// Many rows times ternary weights. A block makes tiles of y: 128 or 256 rows of w (outputs) times
// some rows of q (tokens). A warp fetches boxes of w and q, 128 columns of them at a time, into a
// ring in shared memory; two warpgroups multiply. The weights are the left factor: a lane reads its
// 16 bytes of a tile (tiles.h), and two operations make a register of it; that is done for the next
// product while the one before is under way. What the codes are too large by, sums[m], is taken off
// at the end.
//
// To fill the GPU when there are few tiles, the blocks of a cluster can split a tile's columns and
// exchange their sums, which are integers, so that any split gives the same bits. When there are
// many, a block makes one tile after the other, and its results go to y through shared memory while
// it multiplies on: all blocks store at the same time, which is more than the L2 cache takes.
#include <cuda.h>

#include <algorithm>

#include "backend/cuda/kernels/linear_many.h"
#include "backend/cuda/kernels/norm.cuh"
#include "backend/cuda/kernels/ptx_hopper.cuh"

namespace tern::cuda {
namespace {

constexpr int kColumns = 128;  // of a stage
constexpr int kWarps = 8;      // that multiply, in two warpgroups
constexpr int kThreads = kWarps * 32 + 128;
constexpr int kMaxStages = 16;
constexpr int kSharedBytes = 228 * 1024;        // of a multiprocessor; 1024 of them for each block
constexpr int kBoxBytes = kWarps * kTileBytes;  // 128 rows of w
constexpr int kMaxLag = 3;                      // stages
constexpr int kBoxOutputs = 32;                 // of a box of y: 128 bytes
constexpr int kBoxes = 2;                       // of a warpgroup's 64 rows
constexpr int kBoxTokens = 96;                  // smaller tiles store from registers

struct ManyArgs {
  LinearArgs a;
  int outputs = 0;       // columns of y
  int up_blocks = 0;     // from a tile's first row block to that of its second half
  int tile_outputs = 0;  // columns of y of a tile
  int output_tiles = 0;
  int tiles = 0;  // output tiles times token tiles
  int split = 1;
  int slots = 0;  // ManyForm
  int stages = 0;
  int lag = 0;  // stages that the second warpgroup is late
};

struct Barriers {
  uint64_t full[kMaxStages];
  uint64_t empty[kMaxStages];
  uint64_t exchanged;
};

// Blocks that a multiprocessor holds. Of small ones two, so that the next kernel's blocks can fetch
// their weights while this one's still work.
constexpr int PerMultiprocessor(int tokens, int blocks) { return tokens * blocks <= 64 ? 2 : 1; }
constexpr int MaxSharedBytes(int tokens, int blocks) {
  return kSharedBytes / PerMultiprocessor(tokens, blocks) - 1024;
}

template <int kTokens, int kBlocks>
constexpr int StageBytes() {
  return kBlocks * kBoxBytes + kTokens * kColumns;
}

// Groups of 8 tokens of which a block of a splitting cluster makes the result.
__host__ __device__ constexpr int OwnedGroups(int tokens, int split) {
  return (tokens / 8 + split - 1) / split;
}
__host__ __device__ constexpr int ExchangeBytes(int tokens, int blocks, int split) {
  return (split - 1) * OwnedGroups(tokens, split) * blocks * kWarps * 32 * 16;
}

// The boxes of one slot.
__host__ __device__ constexpr int BoxesBytes(int tokens) {
  return kBoxes * tokens * kBoxOutputs * 4;
}

#ifdef TERN_HOPPER

// A place in the ring.
struct Slot {
  int stage = 0;
  uint32_t phase = 0;
  __device__ __forceinline__ void Next(int stages) {
    if (++stage == stages) {
      stage = 0;
      phase ^= 1;
    }
  }
};

struct Tile {
  int first_block;  // of 16 rows of w
  int first_token;
};

template <int kTokens>
__device__ __forceinline__ Tile TileAt(const ManyArgs& p, int index) {
  const int token_tile = index / p.output_tiles;
  return {(index - token_tile * p.output_tiles) * (p.tile_outputs / kTileRows),
          token_tile * kTokens};
}

template <int kTokens, int kBlocks>
__device__ __forceinline__ void Produce(const CUtensorMap& w_map, const CUtensorMap& q_map,
                                        const ManyArgs& p, unsigned char* ring, Barriers* barriers,
                                        int first_tile, int tile_step, int k_begin, int k_end) {
  constexpr int kStageBytes = StageBytes<kTokens, kBlocks>();
  // Blocks begin at different columns: all of them asking for the same rows of q at a time is slow.
  const int count = k_end - k_begin, turn = first_tile % count;
  const auto column_tile = [&](int i) {
    return k_begin + (i + turn < count ? i + turn : i + turn - count);
  };
  const auto fetch_weights = [&](int stage, const Tile& tile, int kt) {
    unsigned char* to = ring + stage * kStageBytes;
    ArriveExpecting(&barriers->full[stage], kStageBytes);
    CopyBox(to, &w_map, &barriers->full[stage], 0, kt, tile.first_block);
    if constexpr (kBlocks == 2)
      CopyBox(to + kBoxBytes, &w_map, &barriers->full[stage], 0, kt,
              tile.first_block + p.up_blocks);
  };
  const auto fetch_tokens = [&](int stage, const Tile& tile, int kt) {
    unsigned char* to = ring + stage * kStageBytes + kBlocks * kBoxBytes;
    CopyBox(to, &q_map, &barriers->full[stage], kt * kColumns, tile.first_token);
  };
  // The ring's first round: the weights need nobody's results.
  const int ahead = min(p.stages, count);
  const Tile first = TileAt<kTokens>(p, first_tile);
  for (int i = 0; i < ahead; ++i) fetch_weights(i, first, column_tile(i));
  WaitForPredecessor();
  for (int i = 0; i < ahead; ++i) fetch_tokens(i, first, column_tile(i));
  Slot slot = {ahead == p.stages ? 0 : ahead, ahead == p.stages ? 1u : 0u};
  int i = ahead;
  for (int index = first_tile; index < p.tiles; index += tile_step) {
    const Tile tile = TileAt<kTokens>(p, index);
    for (; i < count; ++i) {
      WaitPhase(&barriers->empty[slot.stage], slot.phase ^ 1);
      fetch_weights(slot.stage, tile, column_tile(i));
      fetch_tokens(slot.stage, tile, column_tile(i));
      slot.Next(p.stages);
    }
    i = 0;
  }
}

template <int kTokens, int kBlocks>
struct Consumer {
  static constexpr int kStageBytes = StageBytes<kTokens, kBlocks>();
  static constexpr int kGroups = kTokens / 8;
  static constexpr int kSteps = 2 * kBlocks;  // of 32 columns, in one of the two parts of a stage

  const ManyArgs& p;
  const CUtensorMap* y_map;
  Barriers* barriers;
  unsigned char* ring;
  unsigned char* boxes;     // (slots, kBoxes) of the warpgroup
  unsigned char* exchange;  // (split - 1, owned groups, kBlocks, threads) of 16 bytes
  float* steps;             // of the tile's tokens, the warpgroup's own copy
  int* sums;
  int rank;
  Slot slot;

  __device__ __forceinline__ void Multiply(int (&acc)[kBlocks][kTokens / 2], int k_begin, int k_end,
                                           bool leads) {
    const unsigned char* words_at = ring + threadIdx.x * 16;
    const uint64_t rows_at = SwizzledRows(ring + kBlocks * kBoxBytes);
    const bool releases = threadIdx.x % 32 == 0;
    int last = 0;
    for (int kt = k_begin; kt < k_end; ++kt) {
      WaitPhase(&barriers->full[slot.stage], slot.phase);
      uint4 words[kBlocks];
#pragma unroll
      for (int b = 0; b < kBlocks; ++b)
        words[b] =
            *reinterpret_cast<const uint4*>(words_at + slot.stage * kStageBytes + b * kBoxBytes);
      const uint64_t rows = rows_at + slot.stage * (kStageBytes / 16);
#pragma unroll
      for (int part = 0; part < 2; ++part) {
        WaitProducts<1>();
        if (part == 1) ArriveIf(releases && kt > k_begin, &barriers->empty[last]);
        const int b = kBlocks == 2 ? part : 0;
        const uint32_t word[4] = {words[b].x, words[b].y, words[b].z, words[b].w};
        uint32_t codes[kSteps][4];
#pragma unroll
        for (int i = 0; i < kSteps; ++i) {
          const uint32_t of_step = word[kBlocks == 2 ? i : part * 2 + i];
          codes[i][0] = Codes<0>(of_step);
          codes[i][1] = Codes<1>(of_step);
          codes[i][2] = Codes<2>(of_step);
          codes[i][3] = Codes<3>(of_step);
        }
        HoldRegisters(codes);
        FenceProducts();
#pragma unroll
        for (int i = 0; i < kSteps; ++i) {
          const int s = kBlocks == 2 ? i : part * 2 + i;
          MultiplyAsync(acc[b], codes[i], rows + s * 2, s > 0 || kt > k_begin);
        }
        CommitProducts();
      }
      last = slot.stage;
      slot.Next(p.stages);
      if (leads && kt == k_begin + p.lag - 1) ArriveNamed(3, kWarps * 32);
    }
    WaitProducts<0>();
    ArriveIf(releases, &barriers->empty[last]);
#pragma unroll
    for (int b = 0; b < kBlocks; ++b) HoldRegisters(acc[b]);
  }

  // Every block of the cluster gets the others' sums of its groups of tokens.
  __device__ __forceinline__ void Exchange(int (&acc)[kBlocks][kTokens / 2]) {
    WaitCluster();  // everybody's barriers are there
    const int owned = OwnedGroups(kTokens, p.split);
    constexpr int kPiece = kWarps * 32 * 16;
#pragma unroll
    for (int j = 0; j < kGroups; ++j) {
      const int owner = j / owned;
      if (owner == rank) continue;
      const int from = rank < owner ? rank : rank - 1;
      const uint32_t barrier = ClusterAddress(SharedAddress(&barriers->exchanged), owner);
      const uint32_t to = ClusterAddress(
          SharedAddress(exchange + (from * owned + j - owner * owned) * kBlocks * kPiece +
                        threadIdx.x * 16),
          owner);
#pragma unroll
      for (int b = 0; b < kBlocks; ++b)
        StoreRemote(to + b * kPiece, barrier, acc[b][4 * j], acc[b][4 * j + 1], acc[b][4 * j + 2],
                    acc[b][4 * j + 3]);
    }
    if (rank * owned >= kGroups) return;
    WaitPhaseOfCluster(&barriers->exchanged, 0);
#pragma unroll
    for (int j = 0; j < kGroups; ++j) {
      if (j / owned != rank) continue;
      const unsigned char* at = exchange + (j - rank * owned) * kBlocks * kPiece + threadIdx.x * 16;
      for (int from = 0; from < p.split - 1; ++from, at += owned * kBlocks * kPiece) {
#pragma unroll
        for (int b = 0; b < kBlocks; ++b) {
          const int4 other = *reinterpret_cast<const int4*>(at + b * kPiece);
          acc[b][4 * j] += other.x;
          acc[b][4 * j + 1] += other.y;
          acc[b][4 * j + 2] += other.z;
          acc[b][4 * j + 3] += other.w;
        }
      }
    }
  }

  // float(sum) * (scale * step), in exactly this order.
  __device__ __forceinline__ float Scaled(int sum, float scale, float step) const {
    return __fmul_rn(static_cast<float>(sum), __fmul_rn(scale, step));
  }

  // From registers: groups of tokens that this block owns. Old values are fetched for several
  // groups at a time.
  template <bool kGated>
  __device__ __forceinline__ void Store(const int (&acc)[kBlocks][kTokens / 2], const Tile& tile,
                                        const float (&scale)[kBlocks][2]) {
    constexpr int kAtOnce = 2, kResults = kGated ? 1 : kBlocks;
    const int lane = threadIdx.x % 32, t = lane % 4;
    const int n = (tile.first_block + threadIdx.x / 32) * kTileRows + lane / 4;
    const int owned = OwnedGroups(kTokens, p.split);
    float* y = p.a.y + (tile.first_token + 2 * t) * p.a.y_stride + n;
    // kResults x 4 places of a group: output 8 (i >> 1) of block b, token i & 1.
    const auto place = [&](int j, int b, int i) {
      return y + (8 * j + (i & 1)) * p.a.y_stride + 8 * (i >> 1) + b * kWarps * kTileRows;
    };
    const auto mine = [&](int j, int b, int i) {
      return (p.split == 1 || j / owned == rank) &&
             tile.first_token + 8 * j + 2 * t + (i & 1) < p.a.m &&
             n + 8 * (i >> 1) + b * kWarps * kTileRows < p.outputs;
    };
#pragma unroll
    for (int first = 0; first < kGroups; first += kAtOnce) {
      float old[kAtOnce][kResults][4];
      if (!kGated && p.a.add) {
#pragma unroll
        for (int j = 0; j < kAtOnce; ++j)
#pragma unroll
          for (int b = 0; b < kResults; ++b)
#pragma unroll
            for (int i = 0; i < 4; ++i)
              if (mine(first + j, b, i)) old[j][b][i] = *place(first + j, b, i);
      }
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        const float2 step = reinterpret_cast<const float2*>(steps)[4 * (first + j) + t];
        const int2 sum = reinterpret_cast<const int2*>(sums)[4 * (first + j) + t];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float of_token = i & 1 ? step.y : step.x;
          const int too_much = i & 1 ? sum.y : sum.x;
          float value[kBlocks];
#pragma unroll
          for (int b = 0; b < kBlocks; ++b)
            value[b] = Scaled(acc[b][4 * (first + j) + i] - too_much, scale[b][i >> 1], of_token);
          if constexpr (kGated) value[0] = GateOf(p.a.gate, value[0]) * value[kBlocks - 1];
#pragma unroll
          for (int b = 0; b < kResults; ++b)
            if (mine(first + j, b, i))
              *place(first + j, b, i) =
                  !kGated && p.a.add ? __fadd_rn(old[j][b][i], value[b]) : value[b];
        }
      }
    }
  }

  // Through shared memory: boxes of 32 outputs x kTokens, swizzled, so that lanes write to all
  // banks.
  template <bool kGated>
  __device__ __forceinline__ void StoreBoxes(const int (&acc)[kBlocks][kTokens / 2],
                                             const Tile& tile, const float (&scale)[kBlocks][2]) {
    constexpr int kResults = kGated ? 1 : kBlocks;
    constexpr int kBytes = kTokens * kBoxOutputs * 4;
    const int warpgroup = threadIdx.x / 128, warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32;
    const int g = lane / 4, t = lane % 4;
    const bool starts = threadIdx.x % 128 == 0;
    int at[4];  // of result i in a box
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int token = 2 * t + (i & 1), output = warp % 2 * kTileRows + g + 8 * (i >> 1);
      at[i] = warp / 2 * kBytes + token * 128 + ((output / 4) ^ token) * 16 + output % 4 * 4;
    }
#pragma unroll
    for (int b = 0; b < kResults; ++b) {
      unsigned char* box = boxes + (p.slots == 1 ? 0 : b) * kBoxes * kBytes;
      if (starts) {
        if (p.slots == 1 || kResults == 1)
          WaitBoxesRead<0>();
        else
          WaitBoxesRead<1>();
      }
      SyncNamed(1 + warpgroup, 128);
#pragma unroll
      for (int j = 0; j < kGroups; ++j) {
        const float2 step = reinterpret_cast<const float2*>(steps)[4 * j + t];
        const int2 sum = reinterpret_cast<const int2*>(sums)[4 * j + t];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float of_token = i & 1 ? step.y : step.x;
          const int too_much = i & 1 ? sum.y : sum.x;
          float value = Scaled(acc[b][4 * j + i] - too_much, scale[b][i >> 1], of_token);
          if constexpr (kGated)
            value = GateOf(p.a.gate, value) * Scaled(acc[kBlocks - 1][4 * j + i] - too_much,
                                                     scale[kBlocks - 1][i >> 1], of_token);
          *reinterpret_cast<float*>(box + at[i] + j * 8 * 128) = value;
        }
      }
      FenceCopies();
      SyncNamed(1 + warpgroup, 128);
      if (starts) {
        const int output = (tile.first_block + (b * 2 + warpgroup) * 4) * kTileRows;
#pragma unroll
        for (int i = 0; i < kBoxes; ++i) {
          if (p.a.add)
            AddBox(box + i * kBytes, y_map, output + i * kBoxOutputs, tile.first_token);
          else
            StoreBox(box + i * kBytes, y_map, output + i * kBoxOutputs, tile.first_token);
        }
        CommitBoxes();
      }
    }
  }

  __device__ __forceinline__ void Run(int first_tile, int tile_step, int k_begin, int k_end) {
    const int warpgroup = threadIdx.x / 128, lane = threadIdx.x % 32;
    // The second warpgroup is some stages late, so that it multiplies while the first one stores.
    bool leads = warpgroup == 0 && p.lag > 0;
    if (warpgroup == 1 && p.lag > 0) SyncNamed(3, kWarps * 32);
    int acc[kBlocks][kTokens / 2] = {};
    for (int index = first_tile; index < p.tiles; index += tile_step) {
      const Tile tile = TileAt<kTokens>(p, index);
      constexpr int kMine = (kTokens + 127) / 128;
      float my_step[kMine];
      int my_sum[kMine];
#pragma unroll
      for (int i = 0; i < kMine; ++i) {
        const int token = tile.first_token + threadIdx.x % 128 + i * 128;
        my_step[i] = token < p.a.m ? p.a.step[token] : 0;
        my_sum[i] = token < p.a.m ? p.a.sums[token] : 0;
      }
      float scale[kBlocks][2];
#pragma unroll
      for (int b = 0; b < kBlocks; ++b)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int row =
              (tile.first_block + b * p.up_blocks + static_cast<int>(threadIdx.x) / 32) *
                  kTileRows +
              lane / 4 + 8 * i;
          scale[b][i] = row < p.a.w.rows ? p.a.scale[row] : 0;
        }
      Multiply(acc, k_begin, k_end, leads);
      leads = false;
      SyncNamed(1 + warpgroup, 128);  // the last tile's steps and sums have been read
#pragma unroll
      for (int i = 0; i < kMine; ++i) {
        const int token = threadIdx.x % 128 + i * 128;
        if (token >= kTokens) break;
        steps[token] = my_step[i];
        sums[token] = my_sum[i];
      }
      if (p.split > 1) Exchange(acc);
      SyncNamed(1 + warpgroup, 128);
      const auto store = [&]<bool kGated>() {
        if constexpr (kTokens >= kBoxTokens)
          if (p.slots > 0) return StoreBoxes<kGated>(acc, tile, scale);
        Store<kGated>(acc, tile, scale);
      };
      if (kBlocks == 1 || p.a.gate == Gate::kNone)
        store.template operator()<false>();
      else
        store.template operator()<true>();
    }
    if (p.split == 1) WaitCluster();
    if (threadIdx.x % 128 == 0) WaitBoxesRead<0>();
  }
};

#endif  // TERN_HOPPER

// Shared memory: ring (stages), boxes of y (warpgroups, slots), exchange, steps and sums
// (warpgroups, kTokens), barriers.
template <int kTokens, int kBlocks>
__global__ void __launch_bounds__(kThreads, PerMultiprocessor(kTokens, kBlocks))
    Many(const __grid_constant__ CUtensorMap w_map, const __grid_constant__ CUtensorMap q_map,
         const __grid_constant__ CUtensorMap y_map, const __grid_constant__ ManyArgs p) {
#ifdef TERN_HOPPER
  extern __shared__ __align__(1024) unsigned char memory[];
  unsigned char* boxes = memory + p.stages * StageBytes<kTokens, kBlocks>();
  unsigned char* exchange = boxes + 2 * p.slots * BoxesBytes(kTokens);
  auto* steps = reinterpret_cast<float*>(exchange + ExchangeBytes(kTokens, kBlocks, p.split));
  auto* sums = reinterpret_cast<int*>(steps + 2 * kTokens);
  auto* barriers = reinterpret_cast<Barriers*>(sums + 2 * kTokens);
  const int rank = static_cast<int>(blockIdx.x) % p.split;
  const int first_tile = static_cast<int>(blockIdx.x) / p.split;
  const int tile_step = static_cast<int>(gridDim.x) / p.split;
  const int k_begin = p.a.w.k_tiles * rank / p.split;
  const int k_end = p.a.w.k_tiles * (rank + 1) / p.split;
  if (threadIdx.x == kWarps * 32) {
    PrefetchMap(&w_map);
    PrefetchMap(&q_map);
    for (int i = 0; i < p.stages; ++i) {
      InitBarrier(&barriers->full[i], 1);
      InitBarrier(&barriers->empty[i], kWarps);
    }
    InitBarrier(&barriers->exchanged, 1);
    FenceBarrierInit();
    const int owned = OwnedGroups(kTokens, p.split);
    const int mine = min(owned, kTokens / 8 - rank * owned);
    if (p.split > 1 && mine > 0)
      ArriveExpecting(&barriers->exchanged, (p.split - 1) * mine * kBlocks * kWarps * 32 * 16);
  }
  __syncthreads();
  ArriveCluster();
  ReleaseSuccessor();
  if (threadIdx.x < kWarps * 32) {
    GrowRegisters<PerMultiprocessor(kTokens, kBlocks) == 2 ? 104 : 232>();
    WaitForPredecessor();
    const int warpgroup = threadIdx.x / 128;
    Consumer<kTokens, kBlocks> consumer = {p,
                                           &y_map,
                                           barriers,
                                           memory,
                                           boxes + warpgroup * p.slots * BoxesBytes(kTokens),
                                           exchange,
                                           steps + warpgroup * kTokens,
                                           sums + warpgroup * kTokens,
                                           rank,
                                           {}};
    consumer.Run(first_tile, tile_step, k_begin, k_end);
  } else {
    ShrinkRegisters<PerMultiprocessor(kTokens, kBlocks) == 2 ? 32 : 40>();
    if (threadIdx.x == kWarps * 32)
      Produce<kTokens, kBlocks>(w_map, q_map, p, memory, barriers, first_tile, tile_step, k_begin,
                                k_end);
    WaitCluster();
  }
#endif
}

using EncodeTiled = CUresult (*)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*,
                                 const cuuint64_t*, const cuuint64_t*, const cuuint32_t*,
                                 const cuuint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle,
                                 CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

// The driver's function, so that nobody has to link with the driver; null without one.
EncodeTiled FindEncodeTiled() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
#if CUDART_VERSION >= 12050
  (void)cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                         cudaEnableDefault, &found);
#else
  (void)cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &function, cudaEnableDefault, &found);
#endif
  return found == cudaDriverEntryPointSuccess ? reinterpret_cast<EncodeTiled>(function) : nullptr;
}

// Boxes of `box_rows` rows of q, 128 columns wide.
bool MapTokens(EncodeTiled encode, const LinearArgs& a, int box_rows, CUtensorMap* map) {
  const cuuint64_t size[] = {static_cast<cuuint64_t>(a.q_stride), static_cast<cuuint64_t>(a.m)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(a.q_stride)};
  const cuuint32_t box[] = {kColumns, static_cast<cuuint32_t>(box_rows)}, ones[] = {1, 1};
  return encode(map, CU_TENSOR_MAP_DATA_TYPE_UINT8, 2, const_cast<int8_t*>(a.q), size, strides, box,
                ones, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

// Boxes of 32 columns of `box_rows` rows of y; false as well when y is not at 16 bytes.
bool MapResults(EncodeTiled encode, const LinearArgs& a, int outputs, int box_rows,
                CUtensorMap* map) {
  const cuuint64_t size[] = {static_cast<cuuint64_t>(outputs), static_cast<cuuint64_t>(a.m)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(a.y_stride) * 4};
  const cuuint32_t box[] = {kBoxOutputs, static_cast<cuuint32_t>(box_rows)}, ones[] = {1, 1};
  return encode(map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2, a.y, size, strides, box, ones,
                CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

// Boxes of kWarps tiles that lie below each other. A tile is a row of 128 words.
bool MapWeights(EncodeTiled encode, const TiledMatrix& w, CUtensorMap* map) {
  const auto k_tiles = static_cast<cuuint64_t>(w.k_tiles);
  const cuuint64_t size[] = {kTileBytes / 4, k_tiles, static_cast<cuuint64_t>(w.row_blocks)};
  const cuuint64_t strides[] = {kTileBytes, k_tiles * kTileBytes};
  const cuuint32_t box[] = {kTileBytes / 4, 1, kWarps}, ones[] = {1, 1, 1};
  return encode(map, CU_TENSOR_MAP_DATA_TYPE_UINT32, 3, const_cast<void*>(w.tiles), size, strides,
                box, ones, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
                CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

int CeilDiv(int a, int b) { return (a + b - 1) / b; }

int Outputs(const LinearArgs& a) { return a.gate == Gate::kNone ? a.w.rows : a.w.rows / 2; }
int TileOutputs(const LinearArgs& a, int blocks) {
  return a.gate == Gate::kNone ? blocks * kWarps * kTileRows : kWarps * kTileRows;
}

template <int kTokens, int kBlocks>
void LaunchMany(const LinearArgs& a, const ManyForm& form, const Launch& launch) {
  static const EncodeTiled encode = FindEncodeTiled();
  CUtensorMap w_map = {}, q_map = {}, y_map = {};
  if (encode == nullptr || !MapTokens(encode, a, kTokens, &q_map) ||
      !MapWeights(encode, a.w, &w_map))
    return LinearFew(a, launch);  // a driver without such copies, or q not at 16 bytes
  ManyArgs p;
  p.a = a;
  p.outputs = Outputs(a);
  p.tile_outputs = TileOutputs(a, kBlocks);
  p.up_blocks = a.gate == Gate::kNone ? kWarps : p.outputs / kTileRows;
  p.output_tiles = CeilDiv(p.outputs, p.tile_outputs);
  p.tiles = p.output_tiles * CeilDiv(a.m, kTokens);
  p.split = form.split;
  p.slots =
      kTokens >= kBoxTokens && form.split == 1 && MapResults(encode, a, p.outputs, kTokens, &y_map)
          ? form.slots
          : 0;
  const int others = 2 * p.slots * BoxesBytes(kTokens) + ExchangeBytes(kTokens, kBlocks, p.split) +
                     2 * kTokens * 8 + static_cast<int>(sizeof(Barriers));
  constexpr int kStageBytes = StageBytes<kTokens, kBlocks>();
  constexpr int kMaxBytes = MaxSharedBytes(kTokens, kBlocks);
  p.stages = std::min((kMaxBytes - others) / kStageBytes, kMaxStages);
  if (form.split > 1) p.stages = std::min(p.stages, CeilDiv(a.w.k_tiles, form.split));
  p.lag = form.split > 1 ? 0 : std::max(std::min({kMaxLag, p.stages - 2, a.w.k_tiles}), 0);
  const int bytes = p.stages * kStageBytes + others;

  const int clusters =
      form.split > 1
          ? p.tiles
          : std::min(p.tiles, launch.multiprocessors * PerMultiprocessor(kTokens, kBlocks));
  auto* kernel = Many<kTokens, kBlocks>;
  (void)cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kMaxBytes);
  cudaLaunchAttribute attributes[2] = {};
  attributes[0].id = cudaLaunchAttributeClusterDimension;
  attributes[0].val.clusterDim = {static_cast<unsigned>(form.split), 1, 1};
  attributes[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[1].val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = static_cast<unsigned>(clusters * form.split);
  config.blockDim = kThreads;
  config.dynamicSmemBytes = static_cast<size_t>(bytes);
  config.stream = launch.stream;
  config.attrs = attributes;
  config.numAttrs = launch.dependent ? 2 : 1;
  (void)cudaLaunchKernelEx(&config, kernel, w_map, q_map, y_map, p);
}

// Cycles that measurements on an H200 gave; no one line fits few rows and many.
struct CostModel {
  float crowd;          // two blocks of a multiprocessor hinder each other by so much
  int pair, pair_area;  // a stage of such a block
  int unboxed;          // more for a stage when results aren't stored as boxes
  int split, split_blocks, split_area;  // the exchange between the blocks of a cluster
};
constexpr CostModel kFewTokens = {0.9f, 257, 7, 56, 490, 560, 79};
constexpr CostModel kManyTokens = {1.5f, 250, 3, 110, 1500, 100, 110};
constexpr int kMostFewTokens = 128;

// In cycles of a multiprocessor: a start, a stage's products, the exchange between the blocks of a
// cluster, and storing what no later tile hides.
float Cost(const LinearArgs& a, const ManyForm& form, int multiprocessors) {
  const CostModel& model = a.m <= kMostFewTokens ? kFewTokens : kManyTokens;
  const int area = form.blocks * form.tokens;
  const int tiles = CeilDiv(Outputs(a), TileOutputs(a, form.blocks)) * CeilDiv(a.m, form.tokens);
  auto rounds = static_cast<float>(CeilDiv(tiles, std::max(multiprocessors / form.split, 1)));
  int stage = 4 * area + 20;
  if (PerMultiprocessor(form.tokens, form.blocks) == 2) {
    // Two of a multiprocessor hinder each other, before there is one everywhere.
    rounds = std::max(1.0f, model.crowd * static_cast<float>(tiles * form.split) /
                                static_cast<float>(multiprocessors));
    stage = model.pair + model.pair_area * area;
  } else if (form.tokens < kBoxTokens) {
    stage += model.unboxed;
  }
  const int exchange = form.split > 1 ? model.split + model.split_blocks * form.split +
                                            model.split_area * std::max(area - 32, 0)
                                      : 0;
  const int store = (form.slots > 0 ? 5 : 30) * area;
  return rounds * static_cast<float>(CeilDiv(a.w.k_tiles, form.split) * stage) +
         static_cast<float>(6300 + exchange + store);
}

}  // namespace

ManyForm ChooseManyForm(const LinearArgs& args, int multiprocessors) {
  ManyForm best;
  float best_cost = 0;
  for (const int blocks : {2, 1}) {
    if (blocks == 1 && args.gate != Gate::kNone) continue;
    for (const int tokens : {160, 128, 96, 64, 32})
      for (int split = 1; split <= std::min(8, args.w.k_tiles); ++split) {
        const int slots = split > 1 || tokens < kBoxTokens ? 0 : 1;
        const ManyForm form = {tokens, blocks, split, slots};
        const float cost = Cost(args, form, multiprocessors);
        if (best_cost != 0 && cost >= best_cost) continue;
        best_cost = cost;
        best = form;
      }
  }
  return best;
}

void LinearManyAs(const LinearArgs& args, const ManyForm& form, const Launch& launch) {
  if (args.m == 0) return;
  const auto start = [&]<int kTokens>() {
    if (form.blocks == 1)
      LaunchMany<kTokens, 1>(args, form, launch);
    else
      LaunchMany<kTokens, 2>(args, form, launch);
  };
  switch (form.tokens) {
    case 32:
      return start.template operator()<32>();
    case 64:
      return start.template operator()<64>();
    case 96:
      return start.template operator()<96>();
    case 128:
      return start.template operator()<128>();
    case 160:
      return start.template operator()<160>();
  }
}

void LinearMany(const LinearArgs& args, const Launch& launch) {
  LinearManyAs(args, ChooseManyForm(args, launch.multiprocessors), launch);
}

}  // namespace tern::cuda
