// Few rows times ternary weights, when they don't fit linear_stream.cu. A block owns some blocks of
// 16 rows of the weights; each of its warps has the same columns of all of them, so that what the
// weights are multiplied with stays in registers. The weights of a warp's first kAhead tiles are on
// their way to shared memory before the kernel's predecessor has ended. The warps' int32 sums meet
// in shared memory, where any order gives the same bits.
#include <algorithm>

#include "backend/cuda/kernels/few.cuh"
#include "backend/cuda/kernels/linear.h"
#include "backend/cuda/kernels/linear_stream.h"
#include "backend/cuda/kernels/norm.cuh"
#include "backend/cuda/kernels/ptx.cuh"

namespace tern::cuda {
namespace {

constexpr int kTokens = 8;  // columns of a product

// Shared memory: tiles (warps, slots), then sums (local rows, m).
template <int kTiles, int kGroups, bool kGated>
__global__ void __launch_bounds__(kTiles <= 3 ? 640 : 1024) Few(LinearArgs a, int units, int slots) {
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ float steps[kGroups * kTokens];
  __shared__ int code_sums[kGroups * kTokens];
  constexpr int kColumns = kGroups * kTokens;
  const int threads = blockDim.x, warps = threads / 32;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int first_token = blockIdx.y * kColumns, m = min(a.m - first_token, kColumns);
  const int first = units * blockIdx.x / gridDim.x;
  const int own = units * (blockIdx.x + 1) / gridDim.x - first;
  const int blocks = kGated ? 2 * own : own, local_rows = blocks * kTileRows;
  const int k_begin = warp * kTiles, k_count = min(kTiles, a.w.k_tiles - k_begin);

  TileRing ring(memory, slots,
                static_cast<const char*>(a.w.tiles) +
                    (static_cast<int64_t>(first) * a.w.k_tiles + k_begin) * kTileBytes,
                a.w.k_tiles, k_count, blocks, own, kGated ? units - own : 0);
  ring.Fill();
  auto* sums = reinterpret_cast<int*>(memory + warps * slots * kTileBytes);
  for (int i = threadIdx.x; i < local_rows * m; i += threads) sums[i] = 0;
  ReleaseSuccessor();
  WaitForPredecessor();

  if (threadIdx.x < m) {
    steps[threadIdx.x] = a.step[first_token + threadIdx.x];
    code_sums[threadIdx.x] = a.sums[first_token + threadIdx.x];
  }
  uint32_t b[kTiles][kGroups][8];
#pragma unroll
  for (int n = 0; n < kGroups; ++n) {
    // Columns of tokens that don't exist may hold anything: nobody reads their sums.
    const int token = min(n * kTokens + g, m - 1);
    const int8_t* row = a.q + (first_token + token) * a.q_stride + t * 4;
#pragma unroll
    for (int i = 0; i < kTiles; ++i)
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        const int64_t c = (k_begin + i) * 128 + j * 16;
        b[i][n][j] = c + 16 <= a.q_stride ? *reinterpret_cast<const uint32_t*>(row + c) : 0;
      }
  }
  __syncthreads();  // sums are clear

  for (int block = 0; block < blocks; ++block) {
    TileSums acc[kGroups];
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
      if (i >= k_count) break;
      const uint4 tile = ring.Next();
#pragma unroll
      for (int n = 0; n < kGroups; ++n) acc[n].Multiply(tile, b[i][n]);
    }
#pragma unroll
    for (int n = 0; n < kGroups; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int token = n * kTokens + 2 * t + (i & 1);
        if (token < m)
          atomicAdd(&sums[(block * kTileRows + g + 8 * (i >> 1)) * m + token], acc[n].Total(i));
      }
  }
  __syncthreads();

  const auto scaled = [&](int local_row, int n, int token) {
    const int sum = sums[local_row * m + token] - code_sums[token];
    return static_cast<float>(sum) * (a.scale[n] * steps[token]);
  };
  const int outputs = own * kTileRows;
  for (int i = threadIdx.x; i < outputs * m; i += threads) {
    const int token = i / outputs, o = i - token * outputs, n = first * kTileRows + o;
    float* y = a.y + (first_token + token) * a.y_stride + n;
    if constexpr (kGated) {
      const float gate = scaled(o, n, token);
      *y = GateOf(a.gate, gate) * scaled(outputs + o, n + a.w.rows / 2, token);
    } else if (n < a.w.rows) {
      const float value = scaled(o, n, token);
      *y = a.add ? *y + value : value;
    }
  }
}

template <int kTiles, int kGroups, bool kGated>
void LaunchFew(const LinearArgs& a, const Launch& launch) {
  auto* kernel = Few<kTiles, kGroups, kGated>;
  const int units = kGated ? a.w.rows / 32 : (a.w.rows + kTileRows - 1) / kTileRows;
  const int columns = kGroups * kTokens, m = std::min(a.m, columns);
  const int grid = std::min(units, launch.multiprocessors);
  const int local = (units + grid - 1) / grid * (kGated ? 2 : 1);
  const int warps = ShareOfRow(a.w.cols).warps;
  const int slots = std::min(kAhead, local * kTiles);
  const size_t bytes = static_cast<size_t>(warps) * slots * kTileBytes +
                       static_cast<size_t>(local) * kTileRows * m * sizeof(int);
  PrepareShared(kernel, bytes);
  Start(launch, kernel,
        dim3(static_cast<unsigned>(grid), static_cast<unsigned>((a.m + columns - 1) / columns)),
        warps * 32, bytes, a, units, slots);
}

template <int kGroups>
void LaunchGroups(const LinearArgs& a, const Launch& launch) {
  WithTiles(a.w.cols, [&]<int kTiles>() {
    if (a.gate == Gate::kNone)
      LaunchFew<kTiles, kGroups, false>(a, launch);
    else
      LaunchFew<kTiles, kGroups, true>(a, launch);
  });
}

}  // namespace

void LinearFew(const LinearArgs& args, const Launch& launch) {
  if (args.m == 0) return;
  if (args.m <= kStreamRows && StreamLinear(args, launch)) return;
  if (args.m <= kTokens)
    LaunchGroups<1>(args, launch);
  else
    LaunchGroups<2>(args, launch);
}

}  // namespace tern::cuda
