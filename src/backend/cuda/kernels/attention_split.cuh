// Attention of single rows: a CTA for each chunk of positions, kv head and 16 of its query heads.
#pragma once

#include "backend/cuda/kernels/attention_math.cuh"

namespace tern::cuda {

inline constexpr int kSplitThreads = 256;  // a warp for each block of a chunk
inline constexpr int kSplitQueries = 16;
inline constexpr int kWeightStride = kChunk + 8;  // so that rows lie in different banks

struct SplitArgs {
  const float* q;
  int64_t q_stride;
  float* out;
  int64_t out_stride;
  DeviceStep step;
  KvArgs kv;
  RopeArgs rope;     // fused: q is rope.qkv, and q, k and v of the row are still to be turned
  int tiles;         // of kSplitQueries heads, of a kv head
  int chunks;        // that the launch provides for
  int first_single;  // of the slice
  int* counters;     // (singles of the slice, kv_heads, tiles): chunks that are done
  float* partial;    // (singles, chunks, heads, D)
  float2* sums;      // (singles, chunks, heads): largest score, sum of weights
};

/// Whether attention_stream.cu is the faster one: enough items that every multiprocessor has
/// several; and its launch.
bool StreamsSingles(const KvArgs& kv, int tiles, int singles, const Launch& launch);
void StreamSingles(const SplitArgs& args, bool fused, int singles, const Launch& launch);

template <int D>
struct SplitShared {
  uint16_t v[kChunk * D];
  uint16_t weights[kSplitQueries * kWeightStride];
  uint16_t q[kSplitQueries * (D + 16)];  // rows in different banks
  uint16_t k[D];                         // of the row's own position
  float k_step;
  float largest[kSplitQueries][kChunk / kBlock];
  int done;
};

/// Chunk c, 16 bytes, of a row of values stands at chunk ValueChunk(row, c), so that a warp reads
/// columns without bank conflicts.
__device__ __forceinline__ int ValueChunk(int row, int c) { return c ^ (row & 7); }

/// A warp's block of keys, lane (g, t): dims 16 m + 4 t.. of rows g + 8 j, and values. Rows beyond
/// `last` are zero.
template <class E, int D>
struct SplitBlock {
  uint2 k[4][D / 16];

  __device__ __forceinline__ void Load(const char* k_piece, const char* v_piece, int last, int skip,
                                       uint16_t* v) {
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int i = 0; i < D / 8; ++i) {
      const int at = i * 32 + lane, row = at / (D / 8), c = at % (D / 8);
      if (row == skip) continue;
      CopyAsync16(v + row * D + ValueChunk(row, c) * 8, v_piece + (row <= last ? at * 16 : 0),
                  row <= last);
    }
    CommitCopies();
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const uint2* from = reinterpret_cast<const uint2*>(k_piece + (8 * j + g) * D * 2) + t;
#pragma unroll
      for (int m = 0; m < D / 16; ++m) k[j][m] = 8 * j + g <= last ? __ldcs(from + 4 * m) : uint2{};
    }
  }
  __device__ __forceinline__ uint2 Key(int j, int m) const { return k[j][m]; }
  __device__ __forceinline__ void StoreValues(uint16_t*, int) const {}
  __device__ __forceinline__ float2 Steps(int) const { return {1.0f, 1.0f}; }
};

template <int D>
struct SplitBlock<int8_t, D> {
  uint32_t k[4][D / 16];
  uint4 v[D / 16];
  float2 k_steps[4];  // of rows 8 j + 2 t, 2 t + 1
  float v_steps[D / 16];

  __device__ __forceinline__ void Load(const char* k_piece, const char* v_piece, int last, int,
                                       uint16_t*) {
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const uint32_t* from = reinterpret_cast<const uint32_t*>(k_piece + (8 * j + g) * D) + t;
      const float2* steps = reinterpret_cast<const float2*>(k_piece + kBlock * D);
      k_steps[j] = 8 * j + 2 * t <= last ? steps[4 * j + t] : float2{};
#pragma unroll
      for (int m = 0; m < D / 16; ++m) k[j][m] = 8 * j + g <= last ? __ldcs(from + 4 * m) : 0;
    }
#pragma unroll
    for (int i = 0; i < D / 16; ++i) {
      const int at = i * 32 + lane, row = at / (D / 16);
      v_steps[i] = row <= last ? reinterpret_cast<const float*>(v_piece + kBlock * D)[row] : 0.0f;
      v[i] = row <= last ? LoadStream(v_piece + at * 16) : uint4{};
    }
  }
  __device__ __forceinline__ uint2 Key(int j, int m) const { return CodesAsHalves(k[j][m]); }
  __device__ __forceinline__ float2 Steps(int j) const { return k_steps[j]; }
  __device__ __forceinline__ void StoreValues(uint16_t* to, int skip) const {
#pragma unroll
    for (int i = 0; i < D / 16; ++i) {
      const int at = i * 32 + static_cast<int>(threadIdx.x % 32);
      const int row = at / (D / 16), c = at % (D / 16) * 2;
      if (row == skip) continue;
      *reinterpret_cast<uint4*>(to + row * D + ValueChunk(row, c) * 8) =
          Dequantize8(v[i].x, v[i].y, v_steps[i]);
      *reinterpret_cast<uint4*>(to + row * D + ValueChunk(row, c + 1) * 8) =
          Dequantize8(v[i].z, v[i].w, v_steps[i]);
    }
  }
};

/// The CTA that ends last merges the chunks of its row and heads.
template <int D, int kWarps>
__device__ __forceinline__ void MergeChunks(const SplitArgs& args, int first_head, int heads,
                                            int chunks, float* out) {
  const int64_t stride = args.kv.heads;  // from chunk to chunk
  const int64_t base = static_cast<int64_t>(blockIdx.z) * args.chunks * stride + first_head;
  for (int i = threadIdx.x; i < heads * (D / 2); i += kWarps * 32) {
    const int head = i / (D / 2), d = i % (D / 2) * 2;
    float largest = -INFINITY, sum = 0, x = 0, y = 0;
#pragma unroll 4
    for (int c = 0; c < chunks; ++c) {
      const int64_t at = base + c * stride + head;
      const float2 of_chunk = __ldcg(args.sums + at);
      const float2 part = __ldcg(reinterpret_cast<const float2*>(args.partial + at * D + d));
      const MergeFactors factors = Join(largest, of_chunk.x);
      sum = Merge(sum, of_chunk.y, factors);
      x = Merge(x, part.x, factors);
      y = Merge(y, part.y, factors);
    }
    *reinterpret_cast<float2*>(out + head * D + d) = {Normalized(x, sum), Normalized(y, sum)};
  }
}

/// What is left to do with the sums of a chunk: warp w has columns 8 kTiles w.. of them, (g, t) as
/// mma's d; low, high: the largest scores of heads g and g + 8. chunks: of the row; done: shared.
template <int D, int kWarps, int kTiles>
__device__ __forceinline__ void FinishChunk(const SplitArgs& args, int row, int chunk,
                                            int first_head, int heads, int chunks,
                                            const float (&sums)[kTiles][4],
                                            const float (&weights)[4], float low, float high,
                                            int& done) {
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  float* out = args.out + row * args.out_stride + first_head * D;
  const int64_t partial =
      (static_cast<int64_t>(blockIdx.z) * args.chunks + chunk) * args.kv.heads + first_head;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int head = g + 8 * half;
    if (head >= heads) continue;
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      const int d = (warp * kTiles + n) * 8 + 2 * t;
      float2 x = {sums[n][2 * half], sums[n][2 * half + 1]};
      if (chunks == 1) {
        x = {Normalized(x.x, weights[2 * half]), Normalized(x.y, weights[2 * half])};
        *reinterpret_cast<float2*>(out + head * D + d) = x;
      } else {
        __stcg(reinterpret_cast<float2*>(args.partial + (partial + head) * D + d), x);
      }
    }
    if (chunks > 1 && warp == 0 && t == 0)
      __stcg(args.sums + partial + head, float2{half == 0 ? low : high, weights[2 * half]});
  }
  if (chunks == 1) return;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    int* counter = args.counters + blockIdx.z * gridDim.y + blockIdx.y;
    done = atomicAdd(counter, 1);
    if (done == chunks - 1) *counter = 0;
  }
  __syncthreads();
  if (done != chunks - 1) return;
  __threadfence();
  MergeChunks<D, kWarps>(args, first_head, heads, chunks, out);
}

template <class E, int D, bool kFused>
__global__ void __launch_bounds__(kSplitThreads, D <= 128 ? 2 : 1)
    SplitKernel(const __grid_constant__ SplitArgs args) {
  extern __shared__ __align__(128) char shared_bytes[];
  SplitShared<D>& shared = *reinterpret_cast<SplitShared<D>*>(shared_bytes);
  const KvArgs& kv = args.kv;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int chunk = blockIdx.x, kv_head = blockIdx.y / args.tiles, tile = blockIdx.y % args.tiles;
  const int row = args.step.single_rows[args.first_single + blockIdx.z];
  const int own = args.step.positions[row] - chunk * kChunk;  // from the start of the chunk
  if (own < 0) return;
  const int group = kv.heads / kv.kv_heads;
  const int first_head = kv_head * group + tile * kSplitQueries;
  const int heads = min(group - tile * kSplitQueries, kSplitQueries);
  const bool has_own = own < kChunk;
  const int units = min(own, kChunk - 1) / kUnit + 1;
  const bool working = warp < 2 * units;
  // Relative to the warp's block: its own position, and the last one that lies in memory.
  const int own_here = own - warp * kBlock, last = kFused ? own_here - 1 : own_here;
  const int skip = kFused ? own_here : -1;
  uint16_t* v_here = shared.v + warp * kBlock * D;
  const int32_t* table = args.step.tables + args.step.table_begin[args.step.sequences[row]];
  const int block = last >= 0 ? table[chunk * (kChunk / kBlock) + warp] : 0;
  const char* k_piece = PieceAt(kv.k, kv, block, kv_head);
  const char* v_piece = PieceAt(kv.v, kv, block, kv_head);

  SplitBlock<E, D> keys;
  if constexpr (kFused) {
    // Positions before the row's own were written in earlier passes.
    if (working) keys.Load(k_piece, v_piece, last, skip, v_here);
  }
  WaitForPredecessor();
  ReleaseSuccessor();
  if constexpr (!kFused) {
    if (working) keys.Load(k_piece, v_piece, last, skip, v_here);
  }

  constexpr int kSlots = D / 64;
  const float scale = QueryScale(D);
  for (int task = warp; task < heads + (kFused && has_own ? 2 : 0); task += kSplitThreads / 32) {
    const bool query = task < heads;
    const bool turned = kFused && task <= heads;
    const int head = query ? first_head + task : kv.heads + (task - heads) * kv.kv_heads + kv_head;
    const int dims = turned ? args.rope.dims : 0;
    const bool interleaved = args.rope.interleaved;
    HeadPart<kSlots> part =
        LoadHead<kSlots>(args.q + row * args.q_stride + head * D, D, dims, interleaved);
    if (turned)
      NormTurn(part, args.rope, query ? args.rope.q_norm : args.rope.k_norm,
               args.rope.cos_sin + static_cast<int64_t>(chunk * kChunk + own) * dims, D);
    if (query) {
#pragma unroll
      for (int s = 0; s < kSlots; ++s) {
        const Pair pair = PairAt(lane + 32 * s, dims, interleaved);
        const auto place = [&](int d, float x) {
          shared.q[task * (D + 16) + d] = Operand<E>::Bits(x * scale);
        };
        place(pair.a, part.x[s]);
        place(pair.b, part.y[s]);
      }
    } else if constexpr (kFused) {
      const int own_block = args.step.positions[row] / kBlock, at = own % kBlock;
      const bool key = task == heads;
      StoreHead<E>(
          part, D, dims, interleaved, PieceAt(key ? kv.k : kv.v, kv, table[own_block], kv_head), at,
          tile == 0, [&](int d, float x, float step) {
            if (key) {
              shared.k[d] = Operand<E>::Bits(x);
              shared.k_step = step;
            } else {
              shared.v[own * D + ValueChunk(own, d / 8) * 8 + d % 8] = Operand<E>::Bits(x * step);
            }
          });
    }
  }
  if (working) keys.StoreValues(v_here, skip);
  __syncthreads();

  float scores[4][4] = {};
  if (working) {
#pragma unroll
    for (int m = 0; m < D / 16; ++m) {
      const int d = 16 * m + 4 * t;
      const uint2 low = *reinterpret_cast<const uint2*>(shared.q + g * (D + 16) + d);
      uint2 high = {};
      if (heads > 8) high = *reinterpret_cast<const uint2*>(shared.q + (g + 8) * (D + 16) + d);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        uint2 key = keys.Key(j, m);
        if (kFused && 8 * j + g == own_here) key = *reinterpret_cast<const uint2*>(shared.k + d);
        MultiplyKeys<E>(scores[j], low, high, key);
      }
    }
    float low = -INFINITY, high = -INFINITY;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float2 steps = keys.Steps(j);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int position = 8 * j + 2 * t + e % 2;
        if constexpr (sizeof(E) == 1) {
          const float step = e % 2 == 0 ? steps.x : steps.y;
          scores[j][e] *= kFused && position == own_here ? shared.k_step : step;
        }
        if (position > own_here) scores[j][e] = -INFINITY;
      }
      low = fmaxf(low, fmaxf(scores[j][0], scores[j][1]));
      high = fmaxf(high, fmaxf(scores[j][2], scores[j][3]));
    }
    low = QuadLargest(low);
    high = QuadLargest(high);
    if (t == 0) {
      shared.largest[g][warp] = low;
      shared.largest[g + 8][warp] = high;
    }
  }
  __syncthreads();

  if (working) {
    float low = -INFINITY, high = -INFINITY;
    for (int b = 0; b <= (warp | 1); ++b) {
      low = fmaxf(low, shared.largest[g][b]);
      high = fmaxf(high, shared.largest[g + 8][b]);
    }
    low = Base(low);
    high = Base(high);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      uint16_t* to = shared.weights + g * kWeightStride + warp * kBlock + 8 * j + 2 * t;
      *reinterpret_cast<uint32_t*>(to) =
          Operand<E>::Pack(Exp2(scores[j][0] - low), Exp2(scores[j][1] - low));
      *reinterpret_cast<uint32_t*>(to + 8 * kWeightStride) =
          Operand<E>::Pack(Exp2(scores[j][2] - high), Exp2(scores[j][3] - high));
    }
  }
  WaitCopies<0>();
  __syncthreads();

  // Columns kTiles * 8 * warp.. of the result, and the sum of the weights.
  constexpr int kTiles = D / 64;
  float sums[kTiles][4] = {}, weights[4] = {};
  float low = -INFINITY, high = -INFINITY;
  for (int u = 0; u < units; ++u) {
    const float new_low = fmaxf(low, fmaxf(shared.largest[g][2 * u], shared.largest[g][2 * u + 1]));
    const float new_high =
        fmaxf(high, fmaxf(shared.largest[g + 8][2 * u], shared.largest[g + 8][2 * u + 1]));
    const float factor[2] = {Exp2(low - Base(new_low)), Exp2(high - Base(new_high))};
    low = new_low;
    high = new_high;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      weights[e] *= factor[e / 2];
#pragma unroll
      for (int n = 0; n < kTiles; ++n) sums[n][e] *= factor[e / 2];
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int first = u * kUnit + half * 32;
      uint32_t a[2][4];
#pragma unroll
      for (int k = 0; k < 2; ++k)
        LoadMatrix4(a[k],
                    shared.weights + (lane % 16) * kWeightStride + first + 16 * k + lane / 16 * 8);
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        uint32_t b[4];
        LoadMatrix4Transposed(
            b, shared.v + (first + lane) * D + ValueChunk(lane, warp * kTiles + n) * 8);
        Operand<E>::Mma(sums[n], a[0], b[0], b[1]);
        Operand<E>::Mma(sums[n], a[1], b[2], b[3]);
      }
      Operand<E>::Mma(weights, a[0], Operand<E>::kOnes, Operand<E>::kOnes);
      Operand<E>::Mma(weights, a[1], Operand<E>::kOnes, Operand<E>::kOnes);
    }
  }

  FinishChunk<D, kSplitThreads / 32>(args, row, chunk, first_head, heads,
                                     (own + chunk * kChunk) / kChunk + 1, sums, weights, low, high,
                                     shared.done);
}

}  // namespace tern::cuda
