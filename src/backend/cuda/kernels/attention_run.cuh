// Attention of runs of rows: a CTA for a run and kv head, whose queries (row, head of the group)
// are spread over its warps, 16 each.
#pragma once

#include "backend/cuda/kernels/attention_math.cuh"

namespace tern::cuda {

inline constexpr int kRunWarps = 8;
inline constexpr int kRunThreads = 32 * kRunWarps;
inline constexpr int kRunQueries = 16 * kRunWarps;

struct RunArgs {
  const float* q;
  int64_t q_stride;
  float* out;
  int64_t out_stride;
  DeviceStep step;
  KvArgs kv;
  int runs;
};

/// Columns of the values that a CTA takes: registers hold no more.
inline constexpr int RunColumns(int head_dim) { return head_dim < 128 ? head_dim : 128; }

/// Units of keys and values under way and in use. 16-bit elements: two buffers.
template <class E, int D>
struct RunUnits {
  static constexpr int kCols = RunColumns(D);
  uint16_t k[2][kUnit * D];
  uint16_t v[2][kUnit * kCols];
};
/// int8: as they come, and as halves.
template <int D>
struct RunUnits<int8_t, D> {
  static constexpr int kCols = RunColumns(D);
  uint16_t k[1][kUnit * D];
  uint16_t v[1][kUnit * kCols];
  int8_t k_codes[kUnit * D];
  int8_t v_codes[kUnit * kCols];
  float k_steps[kUnit];
  float v_steps[kUnit];
};

template <class E, int D>
struct RunShared {
  RunUnits<E, D> units;
  uint16_t q[kRunQueries * D];
};

/// Rows 0..63 of `bytes` bytes each, `stride` apart in the pieces of two blocks, to
/// place(row, chunk) in shared memory; rows from `rows` on are zero.
template <int kBytes, int kStride, class Place>
__device__ __forceinline__ void CopyRows(const char* first, const char* second, int rows,
                                         Place place) {
  constexpr int kChunks = kBytes / 16;
  static_assert(kUnit * kChunks % kRunThreads == 0);
#pragma unroll
  for (int i = 0; i < kUnit * kChunks / kRunThreads; ++i) {
    const int at = i * kRunThreads + static_cast<int>(threadIdx.x);
    const int row = at / kChunks, c = at % kChunks;
    const char* piece = row < kBlock ? first : second;
    CopyAsync16(place(row, c), piece + (row < rows ? row % kBlock * kStride + c * 16 : 0),
                row < rows);
  }
}

/// Begins the copies of a unit: the pieces of two blocks, keys and values, of which `rows` rows
/// count; `column` is the first of the values' columns.
template <class E, int D>
__device__ __forceinline__ void FetchUnit(RunUnits<E, D>& units, int buffer,
                                          const char* const (&k)[2], const char* const (&v)[2],
                                          int rows, int column) {
  constexpr int kCols = RunColumns(D);
  if constexpr (sizeof(E) == 2) {
    CopyRows<D * 2, D * 2>(k[0], k[1], rows, [&](int row, int c) {
      return units.k[buffer] + row * D + KeyChunk(row, c) * 8;
    });
    CopyRows<kCols * 2, D * 2>(v[0] + column * 2, v[1] + column * 2, rows, [&](int row, int c) {
      return units.v[buffer] + row * kCols + ValueChunk(row, c) * 8;
    });
  } else {
    CopyRows<D, D>(k[0], k[1], rows,
                   [&](int row, int c) { return units.k_codes + row * D + c * 16; });
    CopyRows<kCols, D>(v[0] + column, v[1] + column, rows,
                       [&](int row, int c) { return units.v_codes + row * kCols + c * 16; });
    if (threadIdx.x < 2 * kUnit / 4) {
      const int row = threadIdx.x * 4 % kUnit;
      const char* const k_piece = row < kBlock ? k[0] : k[1];
      const char* const v_piece = row < kBlock ? v[0] : v[1];
      const char* const piece = threadIdx.x * 4 < kUnit ? k_piece : v_piece;
      float* to = threadIdx.x * 4 < kUnit ? units.k_steps : units.v_steps;
      const bool any = row < rows;
      CopyAsync16(to + row, piece + (any ? kBlock * D + row % kBlock * 4 : 0), any);
    }
  }
}

/// Keys and values of an int8 unit as halves.
template <int D>
__device__ __forceinline__ void DequantizeUnit(RunUnits<int8_t, D>& units) {
  const auto rows = [](const int8_t* codes, int cols, const float* steps, auto place) {
    for (int at = threadIdx.x; at < kUnit * cols / 8; at += kRunThreads) {
      const int row = at / (cols / 8), c = at % (cols / 8);
      const uint2 word = reinterpret_cast<const uint2*>(codes)[at];
      *reinterpret_cast<uint4*>(place(row, c)) = Dequantize8(word.x, word.y, steps[row]);
    }
  };
  constexpr int kCols = RunColumns(D);
  rows(units.k_codes, D, units.k_steps,
       [&](int row, int c) { return units.k[0] + row * D + KeyChunk(row, c) * 8; });
  rows(units.v_codes, kCols, units.v_steps,
       [&](int row, int c) { return units.v[0] + row * kCols + ValueChunk(row, c) * 8; });
}

/// A warp's sums of the values' columns and, in `weights`, of the weights; the largest scores of
/// rows g and g + 8.
template <int kCols>
struct RunSums {
  float values[kCols / 8][4];
  float weights[4];
  float largest[2];

  __device__ __forceinline__ void Clear() {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      weights[e] = 0;
#pragma unroll
      for (int n = 0; n < kCols / 8; ++n) values[n][e] = 0;
    }
    largest[0] = largest[1] = -INFINITY;
  }
};

template <class E, int D>
__device__ __forceinline__ void AttendUnit(const uint16_t* q, const uint16_t* k, const uint16_t* v,
                                           const int (&own)[2], bool masked,
                                           RunSums<RunColumns(D)>& sums) {
  constexpr int kCols = RunColumns(D), kTiles = kUnit / 8;
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  float scores[kTiles][4] = {};
#pragma unroll
  for (int m = 0; m < D / 32; ++m) {
    const int at = KeyChunk(g, 4 * m + t) * 8;  // rows g + 8 j have the same place
    const uint4 low = *reinterpret_cast<const uint4*>(q + g * D + at);
    const uint4 high = *reinterpret_cast<const uint4*>(q + (g + 8) * D + at);
#pragma unroll
    for (int j = 0; j < kTiles; ++j)
      MultiplyKeys<E>(scores[j], low, high,
                      *reinterpret_cast<const uint4*>(k + (8 * j + g) * D + at));
  }
  float largest[2] = {sums.largest[0], sums.largest[1]};
#pragma unroll
  for (int j = 0; j < kTiles; ++j) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      if (masked && 8 * j + 2 * t + e % 2 > own[e / 2]) scores[j][e] = -INFINITY;
      largest[e / 2] = fmaxf(largest[e / 2], scores[j][e]);
    }
  }
  float base[2], factor[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    largest[i] = QuadLargest(largest[i]);
    base[i] = Base(largest[i]);
    factor[i] = Exp2(sums.largest[i] - base[i]);
    sums.largest[i] = largest[i];
  }
  if (__any_sync(~0u, factor[0] != 1.0f || factor[1] != 1.0f)) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      sums.weights[e] *= factor[e / 2];
#pragma unroll
      for (int n = 0; n < kCols / 8; ++n) sums.values[n][e] *= factor[e / 2];
    }
  }
#pragma unroll
  for (int step = 0; step < kUnit / 16; ++step) {
    uint32_t weights[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float(&from)[4] = scores[2 * step + i / 2];
      weights[i] = Operand<E>::Pack(Exp2(from[i % 2 * 2] - base[i % 2]),
                                    Exp2(from[i % 2 * 2 + 1] - base[i % 2]));
    }
#pragma unroll
    for (int n = 0; n < kCols / 8; n += 2) {
      uint32_t b[4];
      LoadMatrix4Transposed(
          b, v + (16 * step + lane % 16) * kCols + ValueChunk(lane, n + lane / 16) * 8);
      Operand<E>::Mma(sums.values[n], weights, b[0], b[1]);
      Operand<E>::Mma(sums.values[n + 1], weights, b[2], b[3]);
    }
    Operand<E>::Mma(sums.weights, weights, Operand<E>::kOnes, Operand<E>::kOnes);
  }
}

template <class E, int D>
__global__ void __launch_bounds__(kRunThreads, 1) RunKernel(const __grid_constant__ RunArgs args) {
  constexpr int kCols = RunColumns(D);
  constexpr int kBuffers = sizeof(E) == 2 ? 2 : 1;
  extern __shared__ __align__(128) char shared_bytes[];
  RunShared<E, D>& shared = *reinterpret_cast<RunShared<E, D>*>(shared_bytes);
  const KvArgs& kv = args.kv;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int kv_head = blockIdx.x, column = blockIdx.z * kCols, group = kv.heads / kv.kv_heads;
  // The last runs of a sequence have most to do: they begin first.
  const int run = args.runs - 1 - static_cast<int>(blockIdx.y);
  const int first = args.step.runs[2 * run], rows = args.step.runs[2 * run + 1];
  const int queries = rows * group;
  const int32_t* table = args.step.tables + args.step.table_begin[args.step.sequences[first]];
  const int positions = args.step.positions[first + rows - 1] + 1;
  const int units = (positions + kUnit - 1) / kUnit;
  const auto fetch = [&](int u) {
    const int first_block = u * (kUnit / kBlock);
    const int second = (first_block + 1) * kBlock < positions ? table[first_block + 1] : 0;
    const int blocks[2] = {table[first_block], second};
    const char* const k[2] = {PieceAt(kv.k, kv, blocks[0], kv_head),
                              PieceAt(kv.k, kv, blocks[1], kv_head)};
    const char* const v[2] = {PieceAt(kv.v, kv, blocks[0], kv_head),
                              PieceAt(kv.v, kv, blocks[1], kv_head)};
    FetchUnit<E, D>(shared.units, u % kBuffers, k, v, positions - u * kUnit, column);
    CommitCopies();
  };

  WaitForPredecessor();
  ReleaseSuccessor();
  fetch(0);
  const float scale = QueryScale(D);
  for (int at = threadIdx.x; at < kRunQueries * D / 8; at += kRunThreads) {
    const int query = at / (D / 8), c = at % (D / 8);
    uint32_t words[4] = {};
    if (query < queries) {
      const float* from = args.q + (first + query / group) * args.q_stride +
                          (kv_head * group + query % group) * D + c * 8;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float2 pair = reinterpret_cast<const float2*>(from)[i];
        words[i] = Operand<E>::Bits(pair.x * scale) |
                   static_cast<uint32_t>(Operand<E>::Bits(pair.y * scale)) << 16;
      }
    }
    *reinterpret_cast<uint4*>(shared.q + query * D + KeyChunk(query, c) * 8) = {words[0], words[1],
                                                                                words[2], words[3]};
  }

  // Positions of the warp's queries; -1 for none.
  int own[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int query = 16 * warp + g + 8 * i;
    own[i] = query < queries ? args.step.positions[first + query / group] : -1;
  }
  const int lowest = __reduce_min_sync(~0u, min(own[0], own[1]));
  const int highest = __reduce_max_sync(~0u, max(own[0], own[1]));

  RunSums<kCols> chunk, total;
  chunk.Clear();
  total.Clear();
  for (int u = 0; u < units; ++u) {
    WaitCopies<0>();
    __syncthreads();
    if constexpr (sizeof(E) == 1) {
      DequantizeUnit(shared.units);
      __syncthreads();
    }
    if (u + 1 < units) fetch(u + 1);
    if (u * kUnit > highest) continue;
    const int here[2] = {own[0] - u * kUnit, own[1] - u * kUnit};
    AttendUnit<E, D>(shared.q + 16 * warp * D, shared.units.k[u % kBuffers],
                     shared.units.v[u % kBuffers], here, (u + 1) * kUnit - 1 > lowest, chunk);
    if ((u + 1) % (kChunk / kUnit) != 0 && (u + 1) * kUnit <= highest) continue;
    const MergeFactors factors[2] = {Join(total.largest[0], chunk.largest[0]),
                                     Join(total.largest[1], chunk.largest[1])};
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      total.weights[e] = Merge(total.weights[e], chunk.weights[e], factors[e / 2]);
#pragma unroll
      for (int n = 0; n < kCols / 8; ++n)
        total.values[n][e] = Merge(total.values[n][e], chunk.values[n][e], factors[e / 2]);
    }
    chunk.Clear();
  }

#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int query = 16 * warp + g + 8 * i;
    if (query >= queries) continue;
    float* out = args.out + (first + query / group) * args.out_stride +
                 (kv_head * group + query % group) * D + column + 2 * t;
#pragma unroll
    for (int n = 0; n < kCols / 8; ++n)
      *reinterpret_cast<float2*>(out + 8 * n) = {
          Normalized(total.values[n][2 * i], total.weights[2 * i]),
          Normalized(total.values[n][2 * i + 1], total.weights[2 * i])};
  }
}

}  // namespace tern::cuda
