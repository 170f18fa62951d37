#include "backend/cuda/kernels/limits.h"
#include "backend/cuda/kernels/ptx.cuh"
#include "backend/cuda/kernels/ptx_hopper.cuh"

namespace tern::cuda {
namespace {

constexpr int kReadThreads = 512;
constexpr int kReadBlocks = 4;   // of a multiprocessor
constexpr int kReadsAtOnce = 8;  // 16-byte loads that a thread has under way

__global__ void __launch_bounds__(kReadThreads, kReadBlocks)
    ReadKernel(const uint4* data, size_t count, uint32_t* sink) {
  const size_t step = static_cast<size_t>(gridDim.x) * kReadThreads;
  uint32_t sum = 0;
  for (size_t first = static_cast<size_t>(blockIdx.x) * kReadThreads + threadIdx.x; first < count;
       first += step * kReadsAtOnce) {
    uint4 values[kReadsAtOnce];
#pragma unroll
    for (int i = 0; i < kReadsAtOnce; ++i) {
      const size_t at = first + static_cast<size_t>(i) * step;
      values[i] = at < count ? __ldcs(data + at) : uint4{};
    }
#pragma unroll
    for (const uint4& v : values) sum += v.x ^ v.y ^ v.z ^ v.w;
  }
  if (sum == 0x5eed) *sink = sum;
}

constexpr int kRounds = 4096;
constexpr int kProductThreads = 256;

__device__ __forceinline__ uint32_t Mix(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}
// Four codes 0..2.
__device__ __forceinline__ uint32_t Codes(uint32_t seed) {
  const uint32_t bits = Mix(seed);
  return (bits & 0x01010101u) + (bits >> 1 & 0x01010101u);
}

constexpr int kColumns = 128;  // of a product, (64 x 32) times (32 x kColumns)
constexpr int kSteps = 4;      // products of a round: a row of 128 bytes

__global__ void __launch_bounds__(kProductThreads, 1) WarpgroupKernel(uint32_t* sink) {
#ifdef TERN_HOPPER
  __shared__ alignas(1024) uint32_t rows[kColumns * kSteps * 32 / 4];
  for (int i = static_cast<int>(threadIdx.x); i < kColumns * kSteps * 8; i += kProductThreads)
    rows[i] = Mix(static_cast<uint32_t>(i));
  FenceCopies();
  __syncthreads();
  uint32_t a[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) a[i] = Codes(threadIdx.x * 4 + static_cast<uint32_t>(i));
  int d[kColumns / 2] = {};
  const uint64_t b = SwizzledRows(rows);
  HoldRegisters(d);
  HoldRegisters(a);
  for (int round = 0; round < kRounds; ++round) {
    FenceProducts();
#pragma unroll
    for (int step = 0; step < kSteps; ++step)
      MultiplyAsync(d, a, b + static_cast<uint64_t>(step * 32 / 16), 1);
    CommitProducts();
    WaitProducts<1>();
  }
  WaitProducts<0>();
  HoldRegisters(d);
  int sum = 0;
#pragma unroll
  for (const int value : d) sum ^= value;
  if (sum == 0x5eed) *sink = static_cast<uint32_t>(sum);
#endif
}

constexpr int kTiles = 8;  // sums of (16 x 8) that a warp works on by turns

__global__ void __launch_bounds__(kProductThreads, 2) WarpKernel(uint32_t* sink) {
  uint32_t a[4], b[2];
#pragma unroll
  for (int i = 0; i < 4; ++i) a[i] = Codes(threadIdx.x * 4 + static_cast<uint32_t>(i));
  b[0] = Mix(threadIdx.x), b[1] = Mix(threadIdx.x + 999);
  int d[kTiles][4] = {};
  for (int round = 0; round < kRounds; ++round)
#pragma unroll
    for (auto& tile : d) MmaU8S8(tile, a, b[0], b[1]);
  int sum = 0;
#pragma unroll
  for (const auto& tile : d)
#pragma unroll
    for (const int value : tile) sum ^= value;
  if (sum == 0x5eed) *sink = static_cast<uint32_t>(sum);
}

}  // namespace

void ReadAll(const void* data, size_t bytes, uint32_t* sink, const Launch& launch) {
  Start(launch, &ReadKernel, launch.multiprocessors * kReadBlocks, kReadThreads, 0,
        static_cast<const uint4*>(data), bytes / sizeof(uint4), sink);
}

double MultiplyInt8(uint32_t* sink, const Launch& launch) {
  if (launch.compute == 90) {
    Start(launch, &WarpgroupKernel, launch.multiprocessors, kProductThreads, 0, sink);
    constexpr double kWarpgroups = kProductThreads / 128, kProduct = 2.0 * 64 * 32 * kColumns;
    return launch.multiprocessors * kWarpgroups * kRounds * kSteps * kProduct;
  }
  constexpr int kBlocks = 2;
  Start(launch, &WarpKernel, launch.multiprocessors * kBlocks, kProductThreads, 0, sink);
  constexpr double kWarps = kProductThreads / 32, kProduct = 2.0 * 16 * 32 * 8;
  return launch.multiprocessors * kBlocks * kWarps * kRounds * kTiles * kProduct;
}

}  // namespace tern::cuda
