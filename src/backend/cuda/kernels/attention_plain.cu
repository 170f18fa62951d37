// Attention for every shape and type, in float: for float keys, and head sizes that don't fit mma.
#include <cfloat>

#include "backend/cuda/kernels/attention_math.cuh"

namespace tern::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kMostDims = 1024;

struct PlainArgs {
  AttentionArgs attention;
  DeviceStep step;
  KvArgs kv;
  int run_rows;  // 0: single rows
};

__device__ float ElementAt(const float* piece, int p, int d, int dim) { return piece[p * dim + d]; }
__device__ float ElementAt(const __half* piece, int p, int d, int dim) {
  return __half2float(piece[p * dim + d]);
}
__device__ float ElementAt(const __nv_bfloat16* piece, int p, int d, int dim) {
  return __bfloat162float(piece[p * dim + d]);
}
__device__ float ElementAt(const int8_t* piece, int p, int d, int dim) {
  return static_cast<float>(piece[p * dim + d]) *
         reinterpret_cast<const float*>(piece + kBlock * dim)[p];
}

// A CTA for a row and head: chunks one after the other; the scores of a chunk by its warps, a
// position each in turn, the result by threads (part, d), that take every position of
// part, part + parts, ..
template <class E>
__global__ void __launch_bounds__(kThreads) PlainKernel(const __grid_constant__ PlainArgs args) {
  __shared__ float q[kMostDims], weights[kChunk], of_warp[kThreads / 32], parts_of[kThreads];
  const KvArgs& kv = args.kv;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, dim = kv.head_dim;
  const int head = blockIdx.x, kv_head = head / (kv.heads / kv.kv_heads);
  int row;
  if (args.run_rows == 0) {
    row = args.step.single_rows[blockIdx.y];
  } else {
    const int run = blockIdx.y, at = blockIdx.z;
    if (at >= args.step.runs[2 * run + 1]) return;
    row = args.step.runs[2 * run] + at;
  }
  const int own = args.step.positions[row];
  const int32_t* table = args.step.tables + args.step.table_begin[args.step.sequences[row]];
  const auto element = [&](void* pieces, int p, int d) {
    const char* piece = PieceAt(pieces, kv, table[p / kBlock], kv_head);
    return ElementAt(reinterpret_cast<const E*>(piece), p % kBlock, d, dim);
  };
  WaitForPredecessor();
  ReleaseSuccessor();
  const float scale = 1.0f / sqrtf(static_cast<float>(dim));
  for (int d = threadIdx.x; d < dim; d += kThreads)
    q[d] = args.attention.q[row * args.attention.q_stride + head * dim + d];
  __syncthreads();

  const int width = (dim + 31) / 32 * 32, parts = max(kThreads / width, 1);
  const int part = threadIdx.x / width, first_d = threadIdx.x % width;
  float largest = -INFINITY, sum = 0, out[kMostDims / kThreads] = {};
  for (int begin = 0; begin <= own; begin += kChunk) {
    const int count = min(own + 1 - begin, kChunk);
    float most = largest;
    for (int p = warp; p < count; p += kThreads / 32) {
      float score = 0;
      for (int d = lane; d < dim; d += 32) score = fmaf(q[d], element(kv.k, begin + p, d), score);
      for (int step = 16; step > 0; step /= 2) score += __shfl_xor_sync(~0u, score, step);
      score *= scale;
      if (lane == 0) weights[p] = score;
      most = fmaxf(most, score);
    }
    if (lane == 0) of_warp[warp] = most;
    __syncthreads();
    for (int w = 0; w < kThreads / 32; ++w) most = fmaxf(most, of_warp[w]);
    const float base = Base(most), factor = expf(largest - base);
    largest = most;
    const int mine = threadIdx.x;
    float weight = 0;
    if (mine < count) weights[mine] = weight = expf(weights[mine] - base);
    for (int step = 16; step > 0; step /= 2) weight += __shfl_xor_sync(~0u, weight, step);
    __syncthreads();
    if (lane == 0) of_warp[warp] = weight;
    __syncthreads();
    float of_chunk = 0;
    for (int w = 0; w < kThreads / 32; ++w) of_chunk += of_warp[w];
    sum = fmaf(sum, factor, of_chunk);
#pragma unroll
    for (int i = 0; i < kMostDims / kThreads; ++i) {
      const int d = first_d + i * kThreads;
      if (d >= dim || part >= parts) break;
      float x = out[i] * factor;
      for (int p = part; p < count; p += parts)
        x = fmaf(weights[p], element(kv.v, begin + p, d), x);
      out[i] = x;
    }
    __syncthreads();
  }
  const float inverse = 1.0f / sum;
  float* to = args.attention.out + row * args.attention.out_stride + head * dim;
  if (parts == 1) {
#pragma unroll
    for (int i = 0; i < kMostDims / kThreads; ++i)
      if (const int d = first_d + i * kThreads; part == 0 && d < dim) to[d] = out[i] * inverse;
    return;
  }
  parts_of[threadIdx.x] = out[0];
  __syncthreads();
  if (part != 0 || first_d >= dim) return;
  float x = 0;
  for (int i = 0; i < parts; ++i) x += parts_of[i * width + first_d];
  to[first_d] = x * inverse;
}

template <class E>
void StartFor(PlainArgs args, const Launch& launch) {
  const AttentionArgs& attention = args.attention;
  if (attention.singles > 0)
    Start(launch, PlainKernel<E>, dim3(args.kv.heads, attention.singles), dim3(kThreads), 0, args);
  if (attention.runs > 0) {
    args.run_rows = AttentionRunRows(args.kv);
    Start(launch, PlainKernel<E>, dim3(args.kv.heads, attention.runs, args.run_rows),
          dim3(kThreads), 0, args);
  }
}

}  // namespace

void AttentionPlain(const AttentionArgs& args, const DeviceStep& step, const KvArgs& kv,
                    const Launch& launch) {
  const PlainArgs plain = {args, step, kv, 0};
  switch (kv.type) {
    case KvType::kF32:
      return StartFor<float>(plain, launch);
    case KvType::kF16:
      return StartFor<__half>(plain, launch);
    case KvType::kBf16:
      return StartFor<__nv_bfloat16>(plain, launch);
    case KvType::kInt8:
      return StartFor<int8_t>(plain, launch);
  }
}

}  // namespace tern::cuda
