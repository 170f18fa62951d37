#include "backend/cuda/kernels/norm.h"

#include "backend/cuda/kernels/norm.cuh"
#include "backend/cuda/kernels/ptx.cuh"

namespace tern::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / 32;

// InverseNorm of the block's row, whose squares' sums these are, to all threads.
__device__ float RowInverse(float sum, int cols, float eps, RowMemory& memory) {
  const float total = ReduceBlock({sum, 0}, kWarps, memory).sum;
  if (threadIdx.x == 0) memory.scale.inverse = InverseNorm(total, cols, eps);
  __syncthreads();
  return memory.scale.inverse;
}

// A block a row of one group.
template <int kTiles>
__global__ void __launch_bounds__(1024) QuantizeRows(NormArgs a) {
  __shared__ RowMemory memory;
  __shared__ int sums[32];
  const int warps = blockDim.x / 32, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const bool vector = a.cols % 4 == 0 && a.x_stride % 4 == 0;
  const int64_t row = blockIdx.x;
  float x[kTiles][4], gain[kTiles][4];
  if (a.gain != nullptr) LoadColumns(gain, a.gain, a.cols, vector, 1.0f);
  if (a.gain == nullptr)
    for (auto& tile : gain)
      for (float& g : tile) g = 1.0f;
  ReleaseSuccessor();
  WaitForPredecessor();
  LoadColumns(x, a.x + row * a.x_stride, a.cols, vector, 0.0f);
  uint32_t codes[kTiles];
  const float step =
      QuantizeRow(x, gain, a.gain != nullptr, a.cols, a.eps, warps, memory, codes);
  int8_t* q = a.q + row * a.out_stride;
#pragma unroll
  for (int i = 0; i < kTiles; ++i) {
    const int64_t c = (warp * kTiles + i) * 128 + lane * 4;
    if (a.out_stride % 4 == 0 && c + 4 <= a.out_stride) {
      *reinterpret_cast<uint32_t*>(q + c) = codes[i];
      continue;
    }
    for (int j = 0; j < 4 && c + j < a.out_stride; ++j)
      q[c + j] = static_cast<int8_t>(codes[i] >> (8 * j));
  }
  for (int64_t c = warps * kTiles * 128 + threadIdx.x; c < a.out_stride; c += blockDim.x) q[c] = 0;
  int sum = SumCodes(codes);
  if (lane == 0) sums[warp] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int w = 1; w < warps; ++w) sum += sums[w];
    a.step[row] = step;
    a.sums[row] = sum;
  }
}

// The same for rows that are longer, have several groups, or stay floats: a block a row, in passes.
__global__ void __launch_bounds__(kThreads) NormAnyRows(NormArgs a) {
  __shared__ RowMemory memory;
  ReleaseSuccessor();
  WaitForPredecessor();
  const int64_t row = blockIdx.x;
  const float* x = a.x + row * a.x_stride;
  float inverse = 1.0f;
  if (a.gain != nullptr) {
    SumAndLargest v = {0, 0};
    for (int c = threadIdx.x; c < a.cols; c += kThreads) v.sum = fmaf(x[c], x[c], v.sum);
    inverse = RowInverse(v.sum, a.cols, a.eps, memory);
  }
  const auto at = [&](int c) { return a.gain != nullptr ? x[c] * inverse * a.gain[c] : x[c]; };
  if (a.q == nullptr) {
    float* to = a.values + row * a.out_stride;
    for (int64_t c = threadIdx.x; c < a.out_stride; c += kThreads)
      to[c] = c < a.cols ? at(static_cast<int>(c)) : 0.0f;
    return;
  }
  int8_t* q = a.q + row * a.out_stride;
  for (int64_t c = a.cols + threadIdx.x; c < a.out_stride; c += kThreads) q[c] = 0;
  const int groups = a.cols / a.group, lane = threadIdx.x % 32;
  for (int g = threadIdx.x / 32; g < groups; g += kWarps) {  // a warp a group
    float largest = 0;
    for (int i = lane; i < a.group; i += 32) largest = fmaxf(largest, fabsf(at(g * a.group + i)));
    for (int offset = 16; offset > 0; offset /= 2)
      largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, offset));
    const float s = QuantizeScale(largest);
    int total = 0;
    for (int i = lane; i < a.group; i += 32) {
      const auto code = static_cast<int8_t>(QuantizeOne(at(g * a.group + i) * s));
      q[g * a.group + i] = code;
      total += code;
    }
    total = __reduce_add_sync(~0u, total);
    if (lane == 0) {
      a.step[row * groups + g] = 1.0f / s;
      a.sums[row * groups + g] = total;
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    NormSomeRows(const float* x, int64_t x_stride, const int32_t* ids, int cols, const float* gain,
                 float eps, float* out, int64_t out_stride) {
  __shared__ RowMemory memory;
  ReleaseSuccessor();
  WaitForPredecessor();
  const float* from = x + ids[blockIdx.x] * x_stride;
  float* to = out + blockIdx.x * out_stride;
  SumAndLargest v = {0, 0};
  for (int c = threadIdx.x; c < cols; c += kThreads) v.sum = fmaf(from[c], from[c], v.sum);
  const float inverse = RowInverse(v.sum, cols, eps, memory);
  for (int c = threadIdx.x; c < cols; c += kThreads) to[c] = from[c] * inverse * gain[c];
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
  if (args.q == nullptr || args.group != args.cols || args.cols > kNormCols) {
    Start(launch, NormAnyRows, grid, kThreads, 0, args);
    return;
  }
  const RowShare share = ShareOfRow(args.cols);
  const auto start = [&](auto* kernel) { Start(launch, kernel, grid, share.warps * 32, 0, args); };
  switch (share.tiles) {
    case 1:
      return start(QuantizeRows<1>);
    case 2:
      return start(QuantizeRows<2>);
    case 3:
      return start(QuantizeRows<3>);
    case 4:
      return start(QuantizeRows<4>);
    default:
      return start(QuantizeRows<6>);
  }
}

void NormRows(const float* x, int64_t x_stride, const int32_t* ids, int rows, int cols,
              const float* gain, float eps, float* out, int64_t out_stride, const Launch& launch) {
  if (rows == 0) return;
  Start(launch, NormSomeRows, dim3(static_cast<unsigned>(rows)), kThreads, 0, x, x_stride, ids,
        cols, gain, eps, out, out_stride);
}

void GatedActivation(const float* gate_up, int64_t stride, int rows, int cols, Gate gate,
                     float* out, int64_t out_stride, const Launch& launch) {
  if (rows == 0) return;
  const dim3 grid(static_cast<unsigned>((cols + 255) / 256), static_cast<unsigned>(rows));
  Start(launch, GateRows, grid, 256, 0, gate_up, stride, cols, gate, out, out_stride);
}

}  // namespace tern::cuda
