// The norm and quantisation of a row by a block of kNormThreads threads: one place, so that every
// kernel that does it gets the same bits.
#pragma once

#include <cstdint>

#include "backend/cuda/kernels/linear.h"

namespace tern::cuda {

inline constexpr int kNormThreads = 512;
inline constexpr int kNormWarps = kNormThreads / 32;

struct SumAndLargest {
  float sum;
  float largest;
};

/// Over the block, in an order that depends on nothing but kNormThreads. `shared` is (kNormWarps).
/// All threads get the result; ends with the block in step.
__device__ __forceinline__ SumAndLargest ReduceBlock(SumAndLargest v, SumAndLargest* shared) {
  for (int offset = 16; offset > 0; offset /= 2) {
    v.sum += __shfl_xor_sync(~0u, v.sum, offset);
    v.largest = fmaxf(v.largest, __shfl_xor_sync(~0u, v.largest, offset));
  }
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
  __syncthreads();
  v = shared[threadIdx.x % kNormWarps];
  for (int offset = kNormWarps / 2; offset > 0; offset /= 2) {
    v.sum += __shfl_xor_sync(~0u, v.sum, offset);
    v.largest = fmaxf(v.largest, __shfl_xor_sync(~0u, v.largest, offset));
  }
  __syncthreads();
  return v;
}

__device__ __forceinline__ int ReduceBlock(int v, int* shared) {
  v = __reduce_add_sync(~0u, v);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
  __syncthreads();
  v = __reduce_add_sync(~0u, threadIdx.x % 32 < kNormWarps ? shared[threadIdx.x % 32] : 0);
  __syncthreads();
  return v;
}

/// What an element is multiplied by before its gain.
__device__ __forceinline__ float InverseNorm(float sum_of_squares, int cols, float eps) {
  return 1.0f / sqrtf(sum_of_squares / static_cast<float>(cols) + eps);
}

/// clamp(round_half_even(x), -128, 127); NaN gives -128, as on the CPU.
__device__ __forceinline__ int QuantizeOne(float x) {
  const float rounded = rintf(x);
  return static_cast<int>(rounded >= -128.0f ? fminf(rounded, 127.0f) : -128.0f);
}

/// 127 / max(largest, 1e-5); a NaN never was the largest.
__device__ __forceinline__ float QuantizeScale(float largest) {
  return 127.0f / fmaxf(largest, 1e-5f);
}

/// Elements of a row that a thread holds: column threadIdx.x + i * kNormThreads.
template <int kPerThread>
struct RowPart {
  float x[kPerThread];
  float gain[kPerThread];
};

template <int kPerThread>
__device__ __forceinline__ void LoadGain(RowPart<kPerThread>& part, const float* gain, int cols) {
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    const int c = threadIdx.x + i * kNormThreads;
    part.gain[i] = gain != nullptr && c < cols ? gain[c] : 1.0f;
  }
}

template <int kPerThread>
__device__ __forceinline__ void LoadRow(RowPart<kPerThread>& part, const float* x, int cols) {
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    const int c = threadIdx.x + i * kNormThreads;
    part.x[i] = c < cols ? x[c] : 0.0f;
  }
}

/// Norms (when `norm`) and quantises the row in one group: q (cols), and the step and the sum of q,
/// to all threads.
template <int kPerThread>
__device__ __forceinline__ void QuantizeRow(const RowPart<kPerThread>& part, bool norm, int cols,
                                            float eps, SumAndLargest* shared, int8_t* q,
                                            float* step, int* sum) {
  SumAndLargest v = {0, 0};
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    v.sum = fmaf(part.x[i], part.x[i], v.sum);
    v.largest = fmaxf(v.largest, fabsf(part.x[i] * part.gain[i]));
  }
  v = ReduceBlock(v, shared);
  const float inverse = norm ? InverseNorm(v.sum, cols, eps) : 1.0f;
  const float s = QuantizeScale(v.largest * inverse);
  int total = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    const int c = threadIdx.x + i * kNormThreads;
    if (c >= cols) break;
    const int code = QuantizeOne(part.x[i] * inverse * part.gain[i] * s);
    q[c] = static_cast<int8_t>(code);
    total += code;
  }
  *sum = ReduceBlock(total, reinterpret_cast<int*>(shared));
  *step = 1.0f / s;
}

__device__ __forceinline__ float GateOf(Gate gate, float x) {
  if (gate == Gate::kReluSquared) {
    const float positive = fmaxf(x, 0.0f);
    return positive * positive;
  }
  return x / (1.0f + expf(-x));
}

}  // namespace tern::cuda
