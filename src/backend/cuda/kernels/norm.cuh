// The norm and quantisation of a row by the warps of a block: one place, so that every kernel that
// does it gets the same bits. Warp w has the k_tiles of 128 columns from w * tiles on; a lane has
// four columns of each, 4 lane..4 lane + 3.
#pragma once

#include <cstdint>

#include "backend/cuda/kernels/linear.h"
#include "backend/cuda/kernels/norm.h"

namespace tern::cuda {

/// How a row of `cols` is shared out. The most warps whose blocks still fit twice on a
/// multiprocessor; more where a warp would otherwise hold too much.
struct RowShare {
  int tiles;  // of 128 columns, of a warp: 1, 2, 3, 4 or 6
  int warps;
};

__host__ __device__ constexpr RowShare ShareOfRow(int cols) {
  const int k_tiles = (cols + 127) / 128;
  const int choices[] = {1, 2, 3, 4};
  for (const int tiles : choices)
    if (k_tiles <= tiles * 20) return {tiles, (k_tiles + tiles - 1) / tiles};
  const int tiles = k_tiles <= 4 * 32 ? 4 : 6;
  return {tiles, (k_tiles + tiles - 1) / tiles};
}

struct SumAndLargest {
  float sum;
  float largest;
};

__device__ __forceinline__ SumAndLargest ReduceWarp(SumAndLargest v) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) v.sum += __shfl_xor_sync(~0u, v.sum, offset);
  // Floats that aren't negative have the order of their bits.
  v.largest = __uint_as_float(__reduce_max_sync(~0u, __float_as_uint(v.largest)));
  return v;
}

/// What a row is multiplied with: by the norm, before the gain; by the quantiser, and what its
/// codes are worth.
struct RowScale {
  float inverse, s, step;
};

/// Shared memory of a block for its row.
struct RowMemory {
  SumAndLargest parts[32];
  RowScale scale;
};

/// What an element is multiplied by before its gain.
__device__ __forceinline__ float InverseNorm(float sum_of_squares, int cols, float eps) {
  return 1.0f / sqrtf(sum_of_squares / static_cast<float>(cols) + eps);
}

/// 127 / max(largest, 1e-5); a NaN never was the largest.
__device__ __forceinline__ float QuantizeScale(float largest) {
  return 127.0f / fmaxf(largest, 1e-5f);
}

/// Over the block, in an order that depends on nothing but the number of warps, to warp 0. Leaves
/// the block out of step.
__device__ __forceinline__ SumAndLargest ReduceBlock(SumAndLargest v, int warps, RowMemory& memory) {
  v = ReduceWarp(v);
  const int lane = threadIdx.x % 32;
  if (lane == 0) memory.parts[threadIdx.x / 32] = v;
  __syncthreads();
  if (threadIdx.x >= 32) return v;
  return ReduceWarp(lane < warps ? memory.parts[lane] : SumAndLargest{0, 0});
}

/// clamp(round_half_even(x), -128, 127) in the low byte, for |x| < 2^22; NaN gives -128, as on the
/// CPU. 1.5 * 2^23 leaves the nearest integer in the low bits of the sum.
__device__ __forceinline__ uint32_t QuantizeOne(float x) {
  return x == x ? __float_as_uint(x + 12582912.0f) : 0x80u;
}

/// A thread's four columns of each of the tiles of part `part` of a row: what warp `part` has;
/// `beyond` where there is none. `vector`: rows start at 16 bytes.
template <int kTiles>
__device__ __forceinline__ void LoadPart(float (&to)[kTiles][4], const float* from, int cols,
                                         int part, bool vector, float beyond) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int i = 0; i < kTiles; ++i) {
    const int c = (part * kTiles + i) * 128 + lane * 4;
    if (vector && c + 4 <= cols) {
      const float4 v = *reinterpret_cast<const float4*>(from + c);
      to[i][0] = v.x, to[i][1] = v.y, to[i][2] = v.z, to[i][3] = v.w;
      continue;
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) to[i][j] = c + j < cols ? from[c + j] : beyond;
  }
}
template <int kTiles>
__device__ __forceinline__ void LoadColumns(float (&to)[kTiles][4], const float* from, int cols,
                                            bool vector, float beyond) {
  LoadPart(to, from, cols, threadIdx.x / 32, vector, beyond);
}

/// Of a thread's columns: the sum of squares, and the largest after the gain.
template <int kTiles>
__device__ __forceinline__ SumAndLargest Measure(const float (&x)[kTiles][4],
                                                 const float (&gain)[kTiles][4]) {
  SumAndLargest v = {0, 0};
#pragma unroll
  for (int i = 0; i < kTiles; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      v.sum = fmaf(x[i][j], x[i][j], v.sum);
      v.largest = fmaxf(v.largest, fabsf(x[i][j] * gain[i][j]));
    }
  return v;
}

/// A row's scales from its SumAndLargest.
__device__ __forceinline__ RowScale ScaleOf(SumAndLargest v, bool norm, int cols, float eps) {
  const float inverse = norm ? InverseNorm(v.sum, cols, eps) : 1.0f;
  const float s = QuantizeScale(v.largest * inverse);
  return {inverse, s, 1.0f / s};
}

/// A thread's four codes of a tile in a word, the first column lowest.
__device__ __forceinline__ uint32_t QuantizeFour(const float (&x)[4], const float (&gain)[4],
                                                 const RowScale& scale) {
  uint32_t c[4];
#pragma unroll
  for (int j = 0; j < 4; ++j) c[j] = QuantizeOne(x[j] * scale.inverse * gain[j] * scale.s);
  return __byte_perm(__byte_perm(c[0], c[1], 0x0040), __byte_perm(c[2], c[3], 0x0040), 0x5410);
}

/// Norms (when `norm`) and quantises a row in one group: a thread's four codes of a tile in a word,
/// the first column lowest; columns beyond the row are 0. Codes are at most 127 in magnitude, but
/// for those of NaN. One warp works out the row's scales, for a division in all of them would take
/// longer than the wait.
template <int kTiles>
__device__ __forceinline__ float QuantizeRow(const float (&x)[kTiles][4],
                                             const float (&gain)[kTiles][4], bool norm, int cols,
                                             float eps, int warps, RowMemory& memory,
                                             uint32_t (&codes)[kTiles]) {
  const SumAndLargest v = ReduceBlock(Measure(x, gain), warps, memory);
  if (threadIdx.x < 32) {
    const RowScale scale = ScaleOf(v, norm, cols, eps);
    if (threadIdx.x == 0) memory.scale = scale;
  }
  __syncthreads();
  const RowScale scale = memory.scale;
#pragma unroll
  for (int i = 0; i < kTiles; ++i) codes[i] = QuantizeFour(x[i], gain[i], scale);
  return scale.step;
}

/// Sum of the codes of a warp's words.
template <int kTiles>
__device__ __forceinline__ int SumCodes(const uint32_t (&codes)[kTiles]) {
  int sum = 0;
#pragma unroll
  for (int i = 0; i < kTiles; ++i) sum = __dp4a(static_cast<int>(codes[i]), 0x01010101, sum);
  return __reduce_add_sync(~0u, sum);
}

__device__ __forceinline__ float GateOf(Gate gate, float x) {
  if (gate == Gate::kReluSquared) {
    const float positive = fmaxf(x, 0.0f);
    return positive * positive;
  }
  return x / (1.0f + expf(-x));
}

}  // namespace tern::cuda
