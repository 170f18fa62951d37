#include "backend/cuda/kernels/head.h"
#include "backend/cuda/kernels/ptx.cuh"

namespace tern::cuda {
namespace {

constexpr int kThreads = 256;

/// The elements of a word of a tile, in floats.
template <TileType type>
__device__ __forceinline__ float Element(uint32_t word, int i, float step) {
  const auto half = static_cast<unsigned short>(word >> (16 * (i & 1)));
  if constexpr (type == TileType::kInt8)
    return static_cast<float>(static_cast<int8_t>(word >> (8 * i))) * step;
  else if constexpr (type == TileType::kF16)
    return __half2float(__ushort_as_half(half));
  else
    return __bfloat162float(__ushort_as_bfloat16(half));
}

/// A CTA for each row; a thread takes a word of a tile at a time.
template <TileType type>
__global__ void __launch_bounds__(kThreads)
    EmbedKernel(const int32_t* ids, const DeviceTable table, float* x, int64_t x_stride) {
  constexpr int kPerWord = type == TileType::kInt8 ? 4 : 2;
  ReleaseSuccessor();
  WaitForPredecessor();
  const int id = ids[blockIdx.x];
  const int row = id % kTileRows;
  const float step = type == TileType::kInt8 ? table.steps[id] : 1.0f;
  const auto* tiles =
      static_cast<const uint32_t*>(table.matrix.tiles) +
      static_cast<int64_t>(id / kTileRows) * table.matrix.k_tiles * (kTileBytes / 4);
  float* to = x + blockIdx.x * x_stride;
  // In a tile a row has eight words, in order of columns: t of the left half, then of the right.
  for (int i = static_cast<int>(threadIdx.x); i < table.matrix.k_tiles * 8; i += kThreads) {
    const int t = i % 4;
    const int half = i / 4 % 2;
    const uint32_t word =
        tiles[i / 8 * (kTileBytes / 4) + (row % 8 * 4 + t) * 4 + row / 8 + 2 * half];
#pragma unroll
    for (int e = 0; e < kPerWord; ++e) {
      const int c = i * kPerWord + e;
      if (c < table.matrix.cols) to[c] = Element<type>(word, e, step);
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    EmbedFloatsKernel(const int32_t* ids, const float* floats, int cols, float* x,
                      int64_t x_stride) {
  ReleaseSuccessor();
  WaitForPredecessor();
  const float* from = floats + static_cast<int64_t>(ids[blockIdx.x]) * cols;
  for (int c = static_cast<int>(threadIdx.x); c < cols; c += kThreads)
    x[blockIdx.x * x_stride + c] = from[c];
}

}  // namespace

void Embed(const int32_t* ids, int rows, const DeviceTable& table, float* x, int64_t x_stride,
           const Launch& launch) {
  if (rows <= 0) return;
  if (table.matrix.tiles == nullptr)
    return Start(launch, &EmbedFloatsKernel, rows, kThreads, 0, ids, table.floats,
                 table.matrix.cols, x, x_stride);
  auto* kernel = table.matrix.type == TileType::kInt8  ? &EmbedKernel<TileType::kInt8>
                 : table.matrix.type == TileType::kF16 ? &EmbedKernel<TileType::kF16>
                                                       : &EmbedKernel<TileType::kBf16>;
  Start(launch, kernel, rows, kThreads, 0, ids, table, x, x_stride);
}

}  // namespace tern::cuda
