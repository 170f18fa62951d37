// Attention of runs of rows: a CTA for a run and kv head, whose queries (row, head of the group)
// are spread over its warps, 16 each. Hopper multiplies by warpgroups, other GPUs by warps, with
// the same results.
#pragma once

#include <type_traits>

#include "backend/cuda/kernels/attention_math.cuh"
#include "backend/cuda/kernels/ptx_warpgroup.cuh"

namespace tern::cuda {

inline constexpr int kRunWarps = 8;
inline constexpr int kRunThreads = 32 * kRunWarps;
inline constexpr int kRunQueries = 16 * kRunWarps;

static_assert(kUnit == 64);

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

/// Matrices of 64 rows lie in slabs (ptx_warpgroup.cuh), each with 64 columns of them; where chunk
/// c of 16 bytes of a row stands.
__device__ __forceinline__ int SlabAt(int row, int c) {
  return (c / 8 * 64 + row) * 64 + SlabChunk(row, c % 8) * 8;
}

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
  float steps[kUnit];  // of the keys in use
};

template <class E, int D>
struct RunShared {
  uint16_t q[kRunQueries / 64][64 * D];
  RunUnits<E, D> units;
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
    CopyRows<D * 2, D * 2>(k[0], k[1], rows,
                           [&](int row, int c) { return units.k[buffer] + SlabAt(row, c); });
    CopyRows<kCols * 2, D * 2>(v[0] + column * 2, v[1] + column * 2, rows,
                               [&](int row, int c) { return units.v[buffer] + SlabAt(row, c); });
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

/// Codes of keys and values of an int8 unit as halves; rows from `rows` on have no step.
template <int D>
__device__ __forceinline__ void DequantizeUnit(RunUnits<int8_t, D>& units, int rows) {
  constexpr int kCols = RunColumns(D);
  for (int at = threadIdx.x; at < kUnit * D / 8; at += kRunThreads) {
    const uint2 word = reinterpret_cast<const uint2*>(units.k_codes)[at];
    const uint2 a = CodesAsHalves(word.x), b = CodesAsHalves(word.y);
    *reinterpret_cast<uint4*>(units.k[0] + SlabAt(at / (D / 8), at % (D / 8))) = {a.x, a.y, b.x,
                                                                                  b.y};
  }
  for (int at = threadIdx.x; at < kUnit * kCols / 8; at += kRunThreads) {
    const int row = at / (kCols / 8);
    const uint2 word = reinterpret_cast<const uint2*>(units.v_codes)[at];
    *reinterpret_cast<uint4*>(units.v[0] + SlabAt(row, at % (kCols / 8))) =
        Dequantize8(word.x, word.y, row < rows ? units.v_steps[row] : 0.0f);
  }
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

/// Scores of a warp's 16 queries, from row `first` of the 64 of q, with the keys of a unit.
template <class E, int D>
__device__ __forceinline__ void ScoreUnit(const uint16_t* q, int first, const uint16_t* k,
                                          float (&scores)[8][4]) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  (void)first;
  warpgroup::Begin();
#pragma unroll
  for (int m = 0; m < D / 16; ++m) {
    const int at = m / 4 * 64 * 64 + m % 4 * 16;
    const uint64_t a = warpgroup::Slab(q + at, 16), b = warpgroup::Slab(k + at, 16);
    if constexpr (std::is_same_v<E, __nv_bfloat16>)
      warpgroup::ProductBf16(scores, a, b, m > 0);
    else
      warpgroup::ProductHalf(scores, a, b, m > 0);
  }
  warpgroup::Commit();
  warpgroup::End<0>();
  for (auto& tile : scores)
    for (float& x : tile) warpgroup::Touch(x);
#else
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  for (auto& tile : scores)
    for (float& x : tile) x = 0;
#pragma unroll
  for (int m = 0; m < D / 16; ++m) {
    const auto at = [&](const uint16_t* matrix, int row) {
      return *reinterpret_cast<const uint2*>(matrix + SlabAt(row, 2 * m + t / 2) + t % 2 * 4);
    };
    const uint2 low = at(q, first + g), high = at(q, first + g + 8);
#pragma unroll
    for (int j = 0; j < 8; ++j) MultiplyKeys<E>(scores[j], low, high, at(k, 8 * j + g));
  }
#endif
}

/// sums += weights v over a unit; weights[s]: of positions 16 s...
template <class E, int kCols>
__device__ __forceinline__ void AddValues(const uint32_t (&weights)[4][4], const uint16_t* v,
                                          RunSums<kCols>& sums) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  warpgroup::Begin();
#pragma unroll
  for (int s = 0; s < 4; ++s) {
    const uint64_t b = warpgroup::Slab(v + 16 * s * 64, 64 * 64 * 2);
    if constexpr (std::is_same_v<E, __nv_bfloat16>)
      warpgroup::ProductBf16(sums.values, weights[s], b);
    else
      warpgroup::ProductHalf(sums.values, weights[s], b);
  }
  warpgroup::Commit();
#else
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int s = 0; s < 4; ++s) {
#pragma unroll
    for (int n = 0; n < kCols / 8; n += 2) {
      uint32_t b[4];
      LoadMatrix4Transposed(b, v + SlabAt(16 * s + lane % 16, n + lane / 16));
      Operand<E>::Mma(sums.values[n], weights[s], b[0], b[1]);
      Operand<E>::Mma(sums.values[n + 1], weights[s], b[2], b[3]);
    }
  }
#endif
#pragma unroll
  for (int s = 0; s < 4; ++s)
    Operand<E>::Mma(sums.weights, weights[s], Operand<E>::kOnes, Operand<E>::kOnes);
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  warpgroup::End<0>();
  for (auto& tile : sums.values)
    for (float& x : tile) warpgroup::Touch(x);
#endif
}

/// Takes a unit into the sums; q, first: as in ScoreUnit; own: the last positions of the unit that
/// the queries g and g + 8 see, if it is `masked`.
template <class E, int D>
__device__ __forceinline__ void AttendUnit(const uint16_t* q, int first, const uint16_t* k,
                                           const float* k_steps, const uint16_t* v,
                                           const int (&own)[2], bool masked,
                                           RunSums<RunColumns(D)>& sums) {
  constexpr int kCols = RunColumns(D);
  const int t = threadIdx.x % 4;
  float scores[8][4];
  ScoreUnit<E, D>(q, first, k, scores);
  if constexpr (sizeof(E) == 1) {
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const float2 steps = *reinterpret_cast<const float2*>(k_steps + 8 * j + 2 * t);
#pragma unroll
      for (int e = 0; e < 4; ++e) scores[j][e] *= e % 2 == 0 ? steps.x : steps.y;
    }
  }
  if (masked) {
#pragma unroll
    for (int j = 0; j < 8; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e)
        if (8 * j + 2 * t + e % 2 > own[e / 2]) scores[j][e] = -INFINITY;
    }
  }
  float base[2], factor[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    float largest = sums.largest[i];
#pragma unroll
    for (int j = 0; j < 8; ++j)
      largest = fmaxf(largest, fmaxf(scores[j][2 * i], scores[j][2 * i + 1]));
    largest = QuadLargest(largest);
    base[i] = Base(largest);
    factor[i] = Exp2(sums.largest[i] - base[i]);
    sums.largest[i] = largest;
  }
  uint32_t weights[4][4];
#pragma unroll
  for (int s = 0; s < 4; ++s) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float(&from)[4] = scores[2 * s + i / 2];
      weights[s][i] = Operand<E>::Pack(Exp2(from[i % 2 * 2] - base[i % 2]),
                                       Exp2(from[i % 2 * 2 + 1] - base[i % 2]));
    }
  }
  if (__any_sync(~0u, factor[0] != 1.0f || factor[1] != 1.0f)) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      sums.weights[e] *= factor[e / 2];
#pragma unroll
      for (int n = 0; n < kCols / 8; ++n) sums.values[n][e] *= factor[e / 2];
    }
  }
  AddValues<E>(weights, v, sums);
}

/// What the calling thread stored or copied is seen by all products behind the next barrier.
__device__ __forceinline__ void FenceUnit() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  warpgroup::FenceShared();
#endif
}

template <class E, int D>
__global__ void __launch_bounds__(kRunThreads, 1) RunKernel(const __grid_constant__ RunArgs args) {
  constexpr int kCols = RunColumns(D);
  constexpr int kBuffers = sizeof(E) == 2 ? 2 : 1;
  extern __shared__ __align__(1024) char shared_bytes[];
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
    *reinterpret_cast<uint4*>(shared.q[query / 64] + SlabAt(query % 64, c)) = {words[0], words[1],
                                                                               words[2], words[3]};
  }

  // Positions of the lane's queries, -1 for none; the lowest and highest of 64.
  const int part = warp / 4;
  const auto position = [&](int query) {
    return query < queries ? args.step.positions[first + query / group] : -1;
  };
  const int own[2] = {position(16 * warp + g), position(16 * warp + g + 8)};
  const int lowest = position(64 * part);
  const int highest = lowest < 0 ? -1 : position(min(64 * part + 63, queries - 1));

  RunSums<kCols> chunk, total;
  chunk.Clear();
  total.Clear();
  for (int u = 0; u < units; ++u) {
    WaitCopies<0>();
    FenceUnit();
    __syncthreads();
    const float* k_steps = nullptr;
    if constexpr (sizeof(E) == 1) {
      DequantizeUnit(shared.units, positions - u * kUnit);
      if (threadIdx.x < kUnit) shared.units.steps[threadIdx.x] = shared.units.k_steps[threadIdx.x];
      k_steps = shared.units.steps;
      FenceUnit();
      __syncthreads();
    }
    if (u + 1 < units) fetch(u + 1);
    if (u * kUnit > highest) continue;
    const int here[2] = {own[0] - u * kUnit, own[1] - u * kUnit};
    AttendUnit<E, D>(shared.q[part], warp % 4 * 16, shared.units.k[u % kBuffers], k_steps,
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
