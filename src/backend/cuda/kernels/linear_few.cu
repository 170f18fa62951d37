// Few rows times ternary weights. A block owns some blocks of 16 rows of the weights and walks all
// their tiles: its warps take equal shares of the tiles, whatever row they belong to, and add their
// int32 sums up in shared memory, where any order gives the same bits. A warp's first kAhead tiles
// are on their way to shared memory before the kernel's predecessor has ended; on a big GPU and for
// the published models that is all of them.
#include <algorithm>

#include "backend/cuda/kernels/linear.h"
#include "backend/cuda/kernels/norm.cuh"
#include "backend/cuda/kernels/norm.h"
#include "backend/cuda/kernels/ptx.cuh"

namespace tern::cuda {
namespace {

constexpr int kThreads = kNormThreads;
constexpr int kWarps = kThreads / 32;
constexpr int kAhead = 10;      // tiles of a warp on their way
constexpr int kPadding = 16;    // bytes behind a row in shared memory: rows 8 apart in 32 banks
constexpr int kTokens = 8;      // columns of a product

// What a block owns: blocks of 16 rows [first, last); with a gate, pairs of blocks.
struct Share {
  int first, last;
};

__device__ __forceinline__ Share ShareOf(int units, int block, int blocks) {
  return {static_cast<int>(static_cast<int64_t>(units) * block / blocks),
          static_cast<int>(static_cast<int64_t>(units) * (block + 1) / blocks)};
}

__host__ __device__ inline int RowBytes(const TiledMatrix& w) { return w.k_tiles * 128 + kPadding; }

// Where a block's tile i is: its row blocks come in order, with a gate those of the gate, then those
// of the other half, and so do their tiles.
template <bool kGated>
__device__ __forceinline__ const char* TileAt(const char* first, int64_t jump, int half, int i) {
  const char* at = first + static_cast<int64_t>(i) * kTileBytes;
  return kGated && i >= half ? at + jump : at;
}

// Shared memory: tiles (warps, kAhead), rows (m, RowBytes), sums (local row blocks, 16, tokens).
template <int kGroups, bool kGated, int kPerThread>
__global__ void __launch_bounds__(kThreads, 2) Few(LinearArgs a, NormArgs norm, int units) {
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ SumAndLargest reduce[kNormWarps];
  __shared__ float steps[kGroups * kTokens];
  __shared__ int row_sums[kGroups * kTokens];
  constexpr int kColumns = kGroups * kTokens;
  const int first_token = blockIdx.y * kColumns;
  const int m = min(a.m - first_token, kColumns);
  const Share share = ShareOf(units, blockIdx.x, gridDim.x);
  const int local_blocks = (share.last - share.first) * (kGated ? 2 : 1);
  const int tiles = local_blocks * a.w.k_tiles;
  const int row_bytes = RowBytes(a.w);
  auto* rows = reinterpret_cast<int8_t*>(memory + kWarps * kAhead * kTileBytes);
  auto* sums = reinterpret_cast<int*>(rows + min(a.m, kColumns) * row_bytes);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;

  const int begin = tiles * warp / kWarps, end = tiles * (warp + 1) / kWarps;
  const char* weights = static_cast<const char*>(a.w.tiles) +
                        static_cast<int64_t>(share.first) * a.w.k_tiles * kTileBytes + lane * 16;
  // From behind the gate's tiles to the first of the other half.
  const int half = tiles / 2;
  const int64_t jump = static_cast<int64_t>(a.w.rows / 32 - local_blocks / 2) * a.w.k_tiles * kTileBytes;
  // A lane fetches what it reads itself, so nobody has to wait for the others. One group of copies
  // a tile, in order.
  unsigned char* ring = memory + warp * kAhead * kTileBytes + lane * 16;
  const auto fetch = [&](int i, int slot) {
    if (i < end) CopyAsync16(ring + slot * kTileBytes, TileAt<kGated>(weights, jump, half, i));
    CommitCopies();
  };
#pragma unroll
  for (int j = 0; j < kAhead; ++j) fetch(begin + j, j);
  RowPart<kPerThread == 0 ? 1 : kPerThread> part;
  if constexpr (kPerThread > 0) LoadGain(part, norm.gain, norm.cols);
  for (int i = threadIdx.x; i < local_blocks * kTileRows * kColumns; i += kThreads) sums[i] = 0;
  ReleaseSuccessor();
  WaitForPredecessor();

  if constexpr (kPerThread > 0) {
    for (int r = 0; r < m; ++r) {
      LoadRow(part, norm.x + (first_token + r) * norm.x_stride, norm.cols);
      float step;
      int sum;
      QuantizeRow(part, norm.gain != nullptr, norm.cols, norm.eps, reduce, rows + r * row_bytes,
                  &step, &sum);
      if (threadIdx.x == 0) {
        steps[r] = step;
        row_sums[r] = sum;
      }
    }
  } else {
    const int chunks = static_cast<int>(min(static_cast<int64_t>(a.w.k_tiles) * 8, a.q_stride / 16));
    for (int i = threadIdx.x; i < m * chunks; i += kThreads) {
      const int r = i / chunks, c = i - r * chunks;
      CopyAsync16(rows + r * row_bytes + c * 16, a.q + (first_token + r) * a.q_stride + c * 16);
    }
    CommitCopies();  // a group more than tiles: below, the oldest are still what is waited for
    if (threadIdx.x < m) {
      steps[threadIdx.x] = a.step[first_token + threadIdx.x];
      row_sums[threadIdx.x] = a.sums[first_token + threadIdx.x];
    }
    WaitCopies<0>();
  }
  __syncthreads();

  int acc[kGroups][4] = {};
  const auto flush = [&](int local) {
#pragma unroll
    for (int n = 0; n < kGroups; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int token = n * kTokens + 2 * t + (i & 1);
        if (token < m)
          atomicAdd(&sums[(local * kTileRows + g + 8 * (i >> 1)) * kColumns + token], acc[n][i]);
        acc[n][i] = 0;
      }
  };
  int local = begin / a.w.k_tiles, kt = begin - local * a.w.k_tiles, slot = 0;
  for (int i = begin; i < end; ++i) {
    WaitCopies<kAhead - 1>();
    const uint4 tile = *reinterpret_cast<const uint4*>(ring + slot * kTileBytes);
    const uint32_t words[4] = {tile.x, tile.y, tile.z, tile.w};
#pragma unroll
    for (int s = 0; s < 4; ++s) {
      const uint32_t fragment[4] = {Codes<0>(words[s]), Codes<1>(words[s]), Codes<2>(words[s]),
                                    Codes<3>(words[s])};
#pragma unroll
      for (int n = 0; n < kGroups; ++n) {
        const int token = n * kTokens + g;
        uint32_t b0 = 0, b1 = 0;
        if (token < m) {
          const int8_t* at = rows + token * row_bytes + kt * 128 + s * 32 + t * 4;
          b0 = *reinterpret_cast<const uint32_t*>(at);
          b1 = *reinterpret_cast<const uint32_t*>(at + 16);
        }
        MmaU8S8(acc[n], fragment, b0, b1);
      }
    }
    fetch(i + kAhead, slot);
    slot = slot + 1 == kAhead ? 0 : slot + 1;
    if (++kt == a.w.k_tiles) {
      flush(local);
      kt = 0;
      ++local;
    }
  }
  if (kt != 0) flush(local);
  __syncthreads();

  const auto scaled = [&](int local_block, int r, int n, int token) {
    const int sum = sums[(local_block * kTileRows + r) * kColumns + token] - row_sums[token];
    return static_cast<float>(sum) * (a.scale[n] * steps[token]);
  };
  const int outputs = (share.last - share.first) * kTileRows;
  for (int i = threadIdx.x; i < outputs * m; i += kThreads) {
    const int token = i / outputs, o = i - token * outputs, n = share.first * kTileRows + o;
    float* y = a.y + (first_token + token) * a.y_stride + n;
    if constexpr (kGated) {
      const float gate = scaled(o / kTileRows, o % kTileRows, n, token);
      const float up = scaled(local_blocks / 2 + o / kTileRows, o % kTileRows, n + a.w.rows / 2, token);
      *y = GateOf(a.gate, gate) * up;
    } else if (n < a.w.rows) {
      const float value = scaled(o / kTileRows, o % kTileRows, n, token);
      *y = a.add ? *y + value : value;
    }
  }
}

template <int kGroups, bool kGated, int kPerThread>
void LaunchFew(const LinearArgs& a, const NormArgs& norm, const Launch& launch) {
  auto* kernel = Few<kGroups, kGated, kPerThread>;
  const int units = kGated ? a.w.rows / 32 : (a.w.rows + kTileRows - 1) / kTileRows;
  const int columns = kGroups * kTokens;
  const int token_blocks = (a.m + columns - 1) / columns;
  const int blocks = std::min(units, launch.multiprocessors);
  const int local = (units + blocks - 1) / blocks * (kGated ? 2 : 1);
  const size_t bytes = static_cast<size_t>(kWarps) * kAhead * kTileBytes +
                       static_cast<size_t>(std::min(a.m, columns)) * RowBytes(a.w) +
                       static_cast<size_t>(local) * kTileRows * columns * sizeof(int);
  (void)cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes));
  Start(launch, kernel, dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(token_blocks)),
        kThreads, bytes, a, norm, units);
}

template <int kGroups, int kPerThread>
void LaunchGatedOrNot(const LinearArgs& a, const NormArgs& norm, const Launch& launch) {
  if (a.gate == Gate::kNone)
    LaunchFew<kGroups, false, kPerThread>(a, norm, launch);
  else
    LaunchFew<kGroups, true, kPerThread>(a, norm, launch);
}

}  // namespace

void LinearFew(const LinearArgs& args, const Launch& launch) {
  if (args.m == 0) return;
  const bool fits = static_cast<size_t>(2 * kTokens) * RowBytes(args.w) <= 112 * 1024;
  if (args.m <= kTokens || !fits)
    LaunchGatedOrNot<1, 0>(args, {}, launch);
  else
    LaunchGatedOrNot<2, 0>(args, {}, launch);
}

void NormLinearFew(const NormArgs& norm, const LinearArgs& args, const Launch& launch) {
  if (norm.cols <= 5 * kNormThreads)
    LaunchGatedOrNot<1, 5>(args, norm, launch);
  else
    LaunchGatedOrNot<1, kNormCols / kNormThreads>(args, norm, launch);
}

}  // namespace tern::cuda
