// Attention of many single rows: a chunk's positions pass through shared memory a unit at a time,
// the next one on its way while this one is worked on, so that three blocks of threads have room on
// a multiprocessor and one of them always loads. Same items, same bits as attention_split.cuh.
#include "backend/cuda/kernels/attention_split.cuh"

namespace tern::cuda {
namespace {

constexpr int kStreamWarps = 4;  // 16 positions of a unit each, then a quarter of the columns
constexpr int kStreamThreads = kStreamWarps * 32;
constexpr int kStages = 2;
constexpr int kUnitWeightStride = kUnit + 8;  // so that rows lie in different banks

/// Keys and values of a unit as they lie in the cache: 16-bit elements, or codes and their steps.
template <class E, int D>
struct Stage {
  static constexpr int kChunks = D * static_cast<int>(sizeof(E)) / 16;  // of a row
  alignas(128) char k[kUnit * kChunks * 16];
  alignas(128) char v[kUnit * kChunks * 16];
  alignas(16) float steps[sizeof(E) == 1 ? 2 * kUnit : 4];  // of keys, then of values
};

template <class E, int D>
struct StreamShared {
  Stage<E, D> stages[kStages];
  alignas(128) uint16_t values[sizeof(E) == 1 ? kUnit * D : 8];  // dequantised
  alignas(16) uint16_t weights[kSplitQueries * kUnitWeightStride];
  alignas(16) uint16_t q[kSplitQueries * (D + 16)];  // rows in different banks
  alignas(16) E own[2][D];                           // key and value of the row's own position
  float own_steps[2];
  float largest[kSplitQueries][kStreamWarps];
  int done;
};

/// Chunk c, 16 bytes, of a row of keys stands at chunk KeyChunk(row, c), so that 8 rows, or 4 of
/// wider elements, are read without bank conflicts.
template <class E, int D>
__device__ __forceinline__ int KeyChunk(int row, int c) {
  constexpr int kChunks = Stage<E, D>::kChunks;
  if constexpr (sizeof(E) == 2) return c ^ (2 * row & (kChunks - 1));
  if constexpr (kChunks == 4) return c ^ (row >> 1 & 3);
  return c ^ (row & (kChunks - 1));
}
/// The same of a row of values, which are read by columns, or by rows when they are codes.
template <class E, int D>
__device__ __forceinline__ int StageValueChunk(int row, int c) {
  return sizeof(E) == 2 ? ValueChunk(row, c) : c;
}

template <class E>
__device__ __forceinline__ E StoredElement(float x) {
  if constexpr (sizeof(E) == 1) return static_cast<E>(x);
  const uint16_t bits = Operand<E>::Bits(x);
  return reinterpret_cast<const E&>(bits);
}

/// Four elements of a key as mma takes them, dims 16 m + 4 t..
template <class E, int D>
__device__ __forceinline__ uint2 StageKey(const char* k, int row, int m, int t) {
  constexpr int kRowBytes = Stage<E, D>::kChunks * 16;
  if constexpr (sizeof(E) == 2)
    return *reinterpret_cast<const uint2*>(k + row * kRowBytes +
                                           KeyChunk<E, D>(row, 2 * m + t / 2) * 16 + t % 2 * 8);
  else
    return CodesAsHalves(*reinterpret_cast<const uint32_t*>(k + row * kRowBytes +
                                                            KeyChunk<E, D>(row, m) * 16 + t * 4));
}

template <class E, int D, bool kFused>
__global__ void __launch_bounds__(kStreamThreads, 3)
    StreamKernel(const __grid_constant__ SplitArgs args) {
  constexpr bool kCodes = sizeof(E) == 1;
  constexpr int kChunks = Stage<E, D>::kChunks;
  extern __shared__ __align__(128) char shared_bytes[];
  auto& shared = *reinterpret_cast<StreamShared<E, D>*>(shared_bytes);
  const KvArgs& kv = args.kv;
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / 32, lane = thread % 32, g = lane / 4, t = lane % 4;
  const int chunk = blockIdx.x, kv_head = blockIdx.y / args.tiles, tile = blockIdx.y % args.tiles;
  const int row = args.step.single_rows[args.first_single + blockIdx.z];
  const int position = args.step.positions[row];
  const int own = position - chunk * kChunk;  // from the start of the chunk
  if (own < 0) return;
  const int group = kv.heads / kv.kv_heads;
  const int first_head = kv_head * group + tile * kSplitQueries;
  const int heads = min(group - tile * kSplitQueries, kSplitQueries);
  const bool has_own = own < kChunk;
  const int units = min(own, kChunk - 1) / kUnit + 1;
  const int last = kFused ? own - 1 : own;  // that lies in memory
  const int32_t* table = args.step.tables + args.step.table_begin[args.step.sequences[row]];

  // Positions beyond `last` become zeros.
  const auto load = [&](int u) {
    if (u < units) {
      Stage<E, D>& stage = shared.stages[u % kStages];
#pragma unroll
      for (int half = 0; half < kUnit / kBlock; ++half) {
        const int first = u * kUnit + half * kBlock;
        const int block = first <= last ? table[chunk * (kChunk / kBlock) + first / kBlock] : 0;
        const char* k = PieceAt(kv.k, kv, block, kv_head);
        const char* v = PieceAt(kv.v, kv, block, kv_head);
#pragma unroll
        for (int i = 0; i < kBlock * kChunks / kStreamThreads; ++i) {
          const int at = i * kStreamThreads + thread, in_block = at / kChunks, c = at % kChunks;
          const int r = half * kBlock + in_block;
          const bool valid = first + in_block <= last;
          const int from = valid ? at * 16 : 0;
          CopyAsync16(stage.k + (r * kChunks + KeyChunk<E, D>(r, c)) * 16, k + from, valid);
          CopyAsync16(stage.v + (r * kChunks + StageValueChunk<E, D>(r, c)) * 16, v + from, valid);
        }
        if constexpr (kCodes) {
          constexpr int kStepChunks = kBlock * static_cast<int>(sizeof(float)) / 16;
          if (thread < 2 * kStepChunks) {
            const int which = thread / kStepChunks, c = thread % kStepChunks;
            CopyAsync16(stage.steps + which * kUnit + half * kBlock + c * 4,
                        (which == 0 ? k : v) + kBlock * D + c * 16, first <= last);
          }
        }
      }
    }
    CommitCopies();
  };
  // Positions before the row's own were written in earlier passes.
  const auto load_first = [&] {
#pragma unroll
    for (int u = 0; u < kStages; ++u) load(u);
  };
  if constexpr (kFused) load_first();
  WaitForPredecessor();
  ReleaseSuccessor();
  if constexpr (!kFused) load_first();

  constexpr int kSlots = D / 64;
  const float scale = QueryScale(D);
  for (int task = warp; task < heads + (kFused && has_own ? 2 : 0); task += kStreamWarps) {
    const bool query = task < heads;
    const bool turned = kFused && task <= heads;
    const int head = query ? first_head + task : kv.heads + (task - heads) * kv.kv_heads + kv_head;
    const int dims = turned ? args.rope.dims : 0;
    const bool interleaved = args.rope.interleaved;
    HeadPart<kSlots> part =
        LoadHead<kSlots>(args.q + row * args.q_stride + head * D, D, dims, interleaved);
    if (turned)
      NormTurn(part, args.rope, query ? args.rope.q_norm : args.rope.k_norm,
               args.rope.cos_sin + static_cast<int64_t>(position) * dims, D);
    if (query) {
#pragma unroll
      for (int s = 0; s < kSlots; ++s) {
        const Pair pair = PairAt(lane + 32 * s, dims, interleaved);
        shared.q[task * (D + 16) + pair.a] = Operand<E>::Bits(part.x[s] * scale);
        shared.q[task * (D + 16) + pair.b] = Operand<E>::Bits(part.y[s] * scale);
      }
    } else if constexpr (kFused) {
      const int which = task - heads;
      void* piece = PieceAt(which == 0 ? kv.k : kv.v, kv, table[position / kBlock], kv_head);
      StoreHead<E>(part, D, dims, interleaved, piece, position % kBlock, tile == 0,
                   [&](int d, float x, float step) {
                     shared.own[which][d] = StoredElement<E>(x);
                     shared.own_steps[which] = step;
                   });
    }
  }

  // Columns kTiles * 8 * warp.. of the result, and the sum of the weights.
  constexpr int kTiles = D / 8 / kStreamWarps;
  float sums[kTiles][4] = {}, sum_of_weights[4] = {};
  float low = -INFINITY, high = -INFINITY;
  for (int u = 0; u < units; ++u) {
    Stage<E, D>& stage = shared.stages[u % kStages];
    const int own_here = own - u * kUnit;
    WaitCopies<kStages - 1>();
    __syncthreads();
    if (kFused && own_here < kUnit) {
      if (thread < 2 * kChunks) {
        const int which = thread / kChunks, c = thread % kChunks;
        const int at =
            which == 0 ? KeyChunk<E, D>(own_here, c) : StageValueChunk<E, D>(own_here, c);
        char* rows = which == 0 ? stage.k : stage.v;
        *reinterpret_cast<uint4*>(rows + (own_here * kChunks + at) * 16) =
            reinterpret_cast<const uint4*>(shared.own[which])[c];
      }
      if (kCodes && thread < 2) stage.steps[thread * kUnit + own_here] = shared.own_steps[thread];
      __syncthreads();
    }
    if constexpr (kCodes) {
      for (int i = thread; i < kUnit * kChunks; i += kStreamThreads) {
        const int r = i / kChunks, c = i % kChunks * 2;
        const uint4 codes = *reinterpret_cast<const uint4*>(stage.v + i * 16);
        const float step = r <= own_here ? stage.steps[kUnit + r] : 0.0f;
        uint16_t* to = shared.values + r * D;
        *reinterpret_cast<uint4*>(to + ValueChunk(r, c) * 8) = Dequantize8(codes.x, codes.y, step);
        *reinterpret_cast<uint4*>(to + ValueChunk(r, c + 1) * 8) =
            Dequantize8(codes.z, codes.w, step);
      }
    }

    float scores[2][4] = {};
#pragma unroll
    for (int m = 0; m < D / 16; ++m) {
      const uint16_t* q = shared.q + g * (D + 16) + 16 * m + 4 * t;
      const uint2 q_low = *reinterpret_cast<const uint2*>(q);
      uint2 q_high = {};
      if (heads > 8) q_high = *reinterpret_cast<const uint2*>(q + 8 * (D + 16));
#pragma unroll
      for (int j = 0; j < 2; ++j)
        MultiplyKeys<E>(scores[j], q_low, q_high,
                        StageKey<E, D>(stage.k, 16 * warp + 8 * j + g, m, t));
    }
    float unit_low = -INFINITY, unit_high = -INFINITY;
#pragma unroll
    for (int j = 0; j < 2; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int at = 16 * warp + 8 * j + 2 * t + e % 2;
        if constexpr (kCodes) scores[j][e] *= stage.steps[at];
        if (at > own_here) scores[j][e] = -INFINITY;
      }
      unit_low = fmaxf(unit_low, fmaxf(scores[j][0], scores[j][1]));
      unit_high = fmaxf(unit_high, fmaxf(scores[j][2], scores[j][3]));
    }
    unit_low = QuadLargest(unit_low);
    unit_high = QuadLargest(unit_high);
    if (t == 0) {
      shared.largest[g][warp] = unit_low;
      shared.largest[g + 8][warp] = unit_high;
    }
    __syncthreads();

    float new_low = low, new_high = high;
#pragma unroll
    for (int w = 0; w < kStreamWarps; ++w) {
      new_low = fmaxf(new_low, shared.largest[g][w]);
      new_high = fmaxf(new_high, shared.largest[g + 8][w]);
    }
    const float base_low = Base(new_low), base_high = Base(new_high);
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      uint16_t* to = shared.weights + g * kUnitWeightStride + 16 * warp + 8 * j + 2 * t;
      *reinterpret_cast<uint32_t*>(to) =
          Operand<E>::Pack(Exp2(scores[j][0] - base_low), Exp2(scores[j][1] - base_low));
      *reinterpret_cast<uint32_t*>(to + 8 * kUnitWeightStride) =
          Operand<E>::Pack(Exp2(scores[j][2] - base_high), Exp2(scores[j][3] - base_high));
    }
    const float factor[2] = {Exp2(low - base_low), Exp2(high - base_high)};
    low = new_low;
    high = new_high;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      sum_of_weights[e] *= factor[e / 2];
#pragma unroll
      for (int n = 0; n < kTiles; ++n) sums[n][e] *= factor[e / 2];
    }
    __syncthreads();

    const uint16_t* values = kCodes ? shared.values : reinterpret_cast<const uint16_t*>(stage.v);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint32_t a[2][4];
#pragma unroll
      for (int k = 0; k < 2; ++k)
        LoadMatrix4(a[k], shared.weights + (lane % 16) * kUnitWeightStride + half * 32 + 16 * k +
                              lane / 16 * 8);
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        uint32_t b[4];
        LoadMatrix4Transposed(
            b, values + (half * 32 + lane) * D + ValueChunk(lane, warp * kTiles + n) * 8);
        Operand<E>::Mma(sums[n], a[0], b[0], b[1]);
        Operand<E>::Mma(sums[n], a[1], b[2], b[3]);
      }
      Operand<E>::Mma(sum_of_weights, a[0], Operand<E>::kOnes, Operand<E>::kOnes);
      Operand<E>::Mma(sum_of_weights, a[1], Operand<E>::kOnes, Operand<E>::kOnes);
    }
    if (u + 1 == units) break;
    __syncthreads();
    load(u + kStages);
  }
  FinishChunk<D, kStreamWarps>(args, row, chunk, first_head, heads, position / kChunk + 1, sums,
                               sum_of_weights, low, high, shared.done);
}

template <class E, int D, bool kFused>
void StartStream(const SplitArgs& args, int singles, const Launch& launch) {
  const auto kernel = StreamKernel<E, D, kFused>;
  constexpr int kBytes = sizeof(StreamShared<E, D>);
  static const cudaError_t attribute =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  (void)attribute;
  const dim3 grid(args.chunks, args.kv.kv_heads * args.tiles, singles);
  Start(launch, kernel, grid, dim3(kStreamThreads), kBytes, args);
}

template <class E>
void StartStreamFor(const SplitArgs& args, bool fused, int singles, const Launch& launch) {
  const bool wide = args.kv.head_dim == 128;
  if (wide && fused) return StartStream<E, 128, true>(args, singles, launch);
  if (wide) return StartStream<E, 128, false>(args, singles, launch);
  if (fused) return StartStream<E, 64, true>(args, singles, launch);
  StartStream<E, 64, false>(args, singles, launch);
}

}  // namespace

bool StreamsSingles(const KvArgs& kv, int tiles, int singles, const Launch& launch) {
  return kv.head_dim <= 128 && singles * kv.kv_heads * tiles > launch.multiprocessors;
}

void StreamSingles(const SplitArgs& args, bool fused, int singles, const Launch& launch) {
  switch (args.kv.type) {
    case KvType::kF16:
      return StartStreamFor<__half>(args, fused, singles, launch);
    case KvType::kBf16:
      return StartStreamFor<__nv_bfloat16>(args, fused, singles, launch);
    default:
      return StartStreamFor<int8_t>(args, fused, singles, launch);
  }
}

}  // namespace tern::cuda
