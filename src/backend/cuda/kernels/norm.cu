#include "backend/cuda/kernels/norm.h"

#include "backend/cuda/kernels/norm.cuh"
#include "backend/cuda/kernels/ptx.cuh"

namespace tern::cuda {
namespace {

// A block a row; one group of at most kPerThread * kNormThreads columns.
template <int kPerThread>
__global__ void __launch_bounds__(kNormThreads) QuantizeRows(NormArgs a) {
  __shared__ SumAndLargest shared[kNormWarps];
  const int64_t row = blockIdx.x;
  RowPart<kPerThread> part;
  LoadGain(part, a.gain, a.cols);
  ReleaseSuccessor();
  WaitForPredecessor();
  LoadRow(part, a.x + row * a.x_stride, a.cols);
  int8_t* q = a.q + row * a.out_stride;
  float step;
  int sum;
  QuantizeRow(part, a.gain != nullptr, a.cols, a.eps, shared, q, &step, &sum);
  for (int64_t c = a.cols + threadIdx.x; c < a.out_stride; c += kNormThreads) q[c] = 0;
  if (threadIdx.x == 0) {
    a.step[row] = step;
    a.sums[row] = sum;
  }
}

// The same for rows that are longer, have several groups, or stay floats: a block a row, in passes.
__global__ void __launch_bounds__(kNormThreads) NormAnyRows(NormArgs a) {
  __shared__ SumAndLargest shared[kNormWarps];
  ReleaseSuccessor();
  WaitForPredecessor();
  const int64_t row = blockIdx.x;
  const float* x = a.x + row * a.x_stride;
  float inverse = 1.0f;
  if (a.gain != nullptr) {
    SumAndLargest v = {0, 0};
    for (int c = threadIdx.x; c < a.cols; c += kNormThreads) v.sum = fmaf(x[c], x[c], v.sum);
    inverse = InverseNorm(ReduceBlock(v, shared).sum, a.cols, a.eps);
  }
  const auto at = [&](int c) {
    return a.gain != nullptr ? x[c] * inverse * a.gain[c] : x[c];
  };
  if (a.q == nullptr) {
    float* to = a.values + row * a.out_stride;
    for (int64_t c = threadIdx.x; c < a.out_stride; c += kNormThreads)
      to[c] = c < a.cols ? at(static_cast<int>(c)) : 0.0f;
    return;
  }
  int8_t* q = a.q + row * a.out_stride;
  const int groups = a.cols / a.group;
  for (int64_t c = a.cols + threadIdx.x; c < a.out_stride; c += kNormThreads) q[c] = 0;
  // A warp a group, unless there are fewer groups than warps would do.
  if (groups == 1) {
    SumAndLargest v = {0, 0};
    for (int c = threadIdx.x; c < a.cols; c += kNormThreads)
      v.largest = fmaxf(v.largest, fabsf(at(c)));
    const float s = QuantizeScale(ReduceBlock(v, shared).largest);
    int total = 0;
    for (int c = threadIdx.x; c < a.cols; c += kNormThreads) {
      const int code = QuantizeOne(at(c) * s);
      q[c] = static_cast<int8_t>(code);
      total += code;
    }
    total = ReduceBlock(total, reinterpret_cast<int*>(shared));
    if (threadIdx.x == 0) {
      a.step[row] = 1.0f / s;
      a.sums[row] = total;
    }
    return;
  }
  const int lane = threadIdx.x % 32;
  for (int g = threadIdx.x / 32; g < groups; g += kNormWarps) {
    float largest = 0;
    for (int i = lane; i < a.group; i += 32) largest = fmaxf(largest, fabsf(at(g * a.group + i)));
    for (int offset = 16; offset > 0; offset /= 2)
      largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, offset));
    const float s = QuantizeScale(largest);
    int total = 0;
    for (int i = lane; i < a.group; i += 32) {
      const int code = QuantizeOne(at(g * a.group + i) * s);
      q[g * a.group + i] = static_cast<int8_t>(code);
      total += code;
    }
    total = __reduce_add_sync(~0u, total);
    if (lane == 0) {
      a.step[row * groups + g] = 1.0f / s;
      a.sums[row * groups + g] = total;
    }
  }
}

__global__ void __launch_bounds__(kNormThreads)
    NormSomeRows(const float* x, int64_t x_stride, const int32_t* ids, int cols, const float* gain,
                 float eps, float* out, int64_t out_stride) {
  __shared__ SumAndLargest shared[kNormWarps];
  ReleaseSuccessor();
  WaitForPredecessor();
  const float* from = x + ids[blockIdx.x] * x_stride;
  float* to = out + blockIdx.x * out_stride;
  SumAndLargest v = {0, 0};
  for (int c = threadIdx.x; c < cols; c += kNormThreads) v.sum = fmaf(from[c], from[c], v.sum);
  const float inverse = InverseNorm(ReduceBlock(v, shared).sum, cols, eps);
  for (int c = threadIdx.x; c < cols; c += kNormThreads) to[c] = from[c] * inverse * gain[c];
}

__global__ void GateRows(const float* gate_up, int64_t stride, int cols, Gate gate, float* out,
                         int64_t out_stride) {
  ReleaseSuccessor();
  WaitForPredecessor();
  const int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= cols) return;
  const float* row = gate_up + blockIdx.y * stride;
  out[blockIdx.y * out_stride + c] = GateOf(gate, row[c]) * row[cols + c];
}

}  // namespace

void NormQuantize(const NormArgs& args, const Launch& launch) {
  if (args.rows == 0) return;
  const dim3 grid(static_cast<unsigned>(args.rows));
  const bool one_group = args.q != nullptr && args.group == args.cols;
  if (one_group && args.cols <= 5 * kNormThreads)
    Start(launch, QuantizeRows<5>, grid, kNormThreads, 0, args);
  else if (one_group && args.cols <= kNormCols)
    Start(launch, QuantizeRows<kNormCols / kNormThreads>, grid, kNormThreads, 0, args);
  else
    Start(launch, NormAnyRows, grid, kNormThreads, 0, args);
}

void NormRows(const float* x, int64_t x_stride, const int32_t* ids, int rows, int cols,
              const float* gain, float eps, float* out, int64_t out_stride, const Launch& launch) {
  if (rows == 0) return;
  Start(launch, NormSomeRows, dim3(static_cast<unsigned>(rows)), kNormThreads, 0, x, x_stride, ids,
        cols, gain, eps, out, out_stride);
}

void GatedActivation(const float* gate_up, int64_t stride, int rows, int cols, Gate gate,
                     float* out, int64_t out_stride, const Launch& launch) {
  if (rows == 0) return;
  const dim3 grid(static_cast<unsigned>((cols + 255) / 256), static_cast<unsigned>(rows));
  Start(launch, GateRows, grid, 256, 0, gate_up, stride, cols, gate, out, out_stride);
}

}  // namespace tern::cuda
