// Attention for every shape and type, in float: for float keys, and head sizes that don't fit mma.
#include "backend/cuda/kernels/attention_math.cuh"

namespace tern::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kHeads = 4;  // of a kv head, that a CTA takes

struct PlainArgs {
  AttentionArgs attention;
  DeviceStep step;
  KvArgs kv;
  int tiles;     // of kHeads heads, of a kv head
  int run_rows;  // 0: single rows
};

// Elements d..d + 3 of a position in a piece, those beyond dim as 0.
template <class E>
__device__ __forceinline__ float4 Elements(const char* piece, int p, int d, int dim) {
  const E* from = reinterpret_cast<const E*>(piece) + p * dim + d;
  float x[4] = {};
  if (dim % 4 == 0 && d < dim) {
    struct alignas(4 * sizeof(E)) Four {
      E e[4];
    };
    const Four four = *reinterpret_cast<const Four*>(from);
#pragma unroll
    for (int i = 0; i < 4; ++i) x[i] = static_cast<float>(four.e[i]);
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (d + i < dim) x[i] = static_cast<float>(from[i]);
  }
  if constexpr (sizeof(E) == 1) {
    const float step = reinterpret_cast<const float*>(piece + kBlock * dim)[p];
#pragma unroll
    for (float& y : x) y *= step;
  }
  return {x[0], x[1], x[2], x[3]};
}

__device__ __forceinline__ float Dot4(float4 a, float4 b, float sum) {
  return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}

// The sums over the lanes of a value for each head: lane l gets that of head l / 8.
__device__ __forceinline__ float SumOfHead(const float (&x)[kHeads]) {
  const bool high = threadIdx.x & 16, odd = threadIdx.x & 8;
  const float a = (high ? x[2] : x[0]) + __shfl_xor_sync(~0u, high ? x[0] : x[2], 16);
  const float b = (high ? x[3] : x[1]) + __shfl_xor_sync(~0u, high ? x[1] : x[3], 16);
  float sum = (odd ? b : a) + __shfl_xor_sync(~0u, odd ? a : b, 8);
  for (int step = 4; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
  return sum;
}

// A CTA for a row and kHeads heads of a kv head: chunks one after the other, in which warp w has
// positions w, w + 8, .. and lane l dims 4 l + 128 s. Largest scores and sums of weights are those
// of the whole CTA; the warps' parts of the result are added at the end.
template <class E, int kSlots>
__global__ void __launch_bounds__(kThreads) PlainKernel(const __grid_constant__ PlainArgs args) {
  __shared__ __align__(16) float q[kHeads][128 * kSlots];
  __shared__ float weights[kHeads][kChunk], of_warp[kWarps][kHeads];
  const KvArgs& kv = args.kv;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, dim = kv.head_dim;
  const int group = kv.heads / kv.kv_heads;
  const int kv_head = blockIdx.x / args.tiles, tile = blockIdx.x % args.tiles;
  const int first_head = kv_head * group + tile * kHeads;
  const int heads = min(group - tile * kHeads, kHeads);
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
  WaitForPredecessor();
  ReleaseSuccessor();
  const float* from = args.attention.q + row * args.attention.q_stride + first_head * dim;
  for (int i = threadIdx.x; i < kHeads * 128 * kSlots; i += kThreads) {
    const int head = i / (128 * kSlots), d = i % (128 * kSlots);
    q[head][d] = head < heads && d < dim ? from[head * dim + d] : 0.0f;
  }
  __syncthreads();

  const float scale = 1.0f / sqrtf(static_cast<float>(dim));
  float largest[kHeads], sum[kHeads] = {};
  float4 out[kSlots][kHeads] = {};
#pragma unroll
  for (float& x : largest) x = -INFINITY;
  for (int begin = 0; begin <= own; begin += kChunk) {
    const int count = min(own + 1 - begin, kChunk);
    const int block = table[begin / kBlock + min(lane % (kChunk / kBlock), (count - 1) / kBlock)];
    // Calls with(position, its elements) for the warp's positions. Several are loaded at once.
    const auto each = [&](void* pieces, auto with) {
      constexpr int kBatch = kSlots == 1 ? 8 : 8 / kSlots;
      for (int first = warp; first < count; first += kBatch * kWarps) {
        float4 x[kBatch][kSlots];
#pragma unroll
        for (int b = 0; b < kBatch; ++b) {
          const int p = min(first + b * kWarps, count - 1);
          const char* piece = PieceAt(pieces, kv, __shfl_sync(~0u, block, p / kBlock), kv_head);
#pragma unroll
          for (int s = 0; s < kSlots; ++s)
            x[b][s] = Elements<E>(piece, p % kBlock, 4 * lane + 128 * s, dim);
        }
#pragma unroll
        for (int b = 0; b < kBatch; ++b)
          if (first + b * kWarps < count) with(first + b * kWarps, x[b]);
      }
    };
    float most = -INFINITY;  // of head lane / 8
    each(kv.k, [&](int p, const float4(&k)[kSlots]) {
      float scores[kHeads] = {};
#pragma unroll
      for (int s = 0; s < kSlots; ++s) {
        const int d = 4 * lane + 128 * s;
#pragma unroll
        for (int h = 0; h < kHeads; ++h)
          scores[h] = Dot4(*reinterpret_cast<const float4*>(&q[h][d]), k[s], scores[h]);
      }
      const float score = SumOfHead(scores) * scale;
      if (lane % 8 == 0) weights[lane / 8][p] = score;
      most = fmaxf(most, score);
    });
    if (lane % 8 == 0) of_warp[warp][lane / 8] = most;
    __syncthreads();
    float factor[kHeads], weight[kHeads];
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      float joint = largest[h];
      for (int w = 0; w < kWarps; ++w) joint = fmaxf(joint, of_warp[w][h]);
      factor[h] = expf(largest[h] - Base(joint));
      largest[h] = joint;
      weight[h] = 0;
      if (threadIdx.x < count)
        weights[h][threadIdx.x] = weight[h] = expf(weights[h][threadIdx.x] - Base(joint));
    }
    const float of_head = SumOfHead(weight);
    __syncthreads();
    if (lane % 8 == 0) of_warp[warp][lane / 8] = of_head;
    __syncthreads();
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      float of_chunk = 0;
      for (int w = 0; w < kWarps; ++w) of_chunk += of_warp[w][h];
      sum[h] = fmaf(sum[h], factor[h], of_chunk);
#pragma unroll
      for (int s = 0; s < kSlots; ++s) {
        float4& x = out[s][h];
        x = {x.x * factor[h], x.y * factor[h], x.z * factor[h], x.w * factor[h]};
      }
    }
    each(kv.v, [&](int p, const float4(&values)[kSlots]) {
#pragma unroll
      for (int s = 0; s < kSlots; ++s) {
        const float4 v = values[s];
#pragma unroll
        for (int h = 0; h < kHeads; ++h) {
          const float w = weights[h][p];
          float4& x = out[s][h];
          x = {fmaf(w, v.x, x.x), fmaf(w, v.y, x.y), fmaf(w, v.z, x.z), fmaf(w, v.w, x.w)};
        }
      }
    });
    __syncthreads();
  }
  // The scratch of the warps' parts is what held the query.
  for (int part = 0; part < kWarps; ++part) {
    if (warp == part) {
#pragma unroll
      for (int s = 0; s < kSlots; ++s) {
#pragma unroll
        for (int h = 0; h < kHeads; ++h) {
          float4& to = *reinterpret_cast<float4*>(&q[h][4 * lane + 128 * s]);
          const float4 x = out[s][h], y = part == 0 ? float4{} : to;
          to = {x.x + y.x, x.y + y.y, x.z + y.z, x.w + y.w};
        }
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    if (h >= heads) break;
    float* to = args.attention.out + row * args.attention.out_stride + (first_head + h) * dim;
    for (int d = threadIdx.x; d < dim; d += kThreads) to[d] = q[h][d] * (1.0f / sum[h]);
  }
}

template <class E, int kSlots>
void StartSlots(PlainArgs args, const Launch& launch) {
  const AttentionArgs& attention = args.attention;
  const unsigned heads = args.kv.kv_heads * args.tiles;
  if (attention.singles > 0)
    Start(launch, PlainKernel<E, kSlots>, dim3(heads, attention.singles), dim3(kThreads), 0, args);
  if (attention.runs > 0) {
    args.run_rows = AttentionRunRows(args.kv);
    Start(launch, PlainKernel<E, kSlots>, dim3(heads, attention.runs, args.run_rows),
          dim3(kThreads), 0, args);
  }
}

template <class E>
void StartFor(const PlainArgs& args, const Launch& launch) {
  if (args.kv.head_dim <= 128) return StartSlots<E, 1>(args, launch);
  if (args.kv.head_dim <= 256) return StartSlots<E, 2>(args, launch);
  StartSlots<E, 8>(args, launch);
}

}  // namespace

void AttentionPlain(const AttentionArgs& args, const DeviceStep& step, const KvArgs& kv,
                    const Launch& launch) {
  const int tiles = (kv.heads / kv.kv_heads + kHeads - 1) / kHeads;
  const PlainArgs plain = {args, step, kv, tiles, 0};
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
