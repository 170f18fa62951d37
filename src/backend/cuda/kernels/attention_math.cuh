// The arithmetic of attention, the same in every kernel. Queries are multiplied by log2(e) /
// sqrt(head_dim) and rounded to what mma takes (f16; bf16 for such elements), int8 elements are
// dequantised to f16. Then, for a query:
//   A unit is 64 positions: scores by mma over increasing dims (KeyFragment), m = the largest score
//   so far in the chunk, out *= 2^(m before - m), weights = 2^(score - m) rounded to 16 bits,
//   out += weights x values by mma over increasing positions. A column of ones stands beside the
//   values: its sum is that of the weights.
//   A chunk is 256 positions. Chunks are merged in increasing order (Merge).
// Positions beyond the query's own have weight 0, which changes no bit, so that it doesn't matter
// how many of them a kernel looks at.
#pragma once

#include "backend/cuda/kernels/rope.cuh"

namespace tern::cuda {

inline constexpr int kUnit = 64;
inline constexpr int kChunk = 256;
inline constexpr int kBlock = static_cast<int>(kBlockPositions);

/// What 2^x takes differences to: any number when all scores are masked.
__device__ __forceinline__ float Base(float largest) {
  return largest == -INFINITY ? 0.0f : largest;
}

/// What the sums of a chunk and of those before it are multiplied with when they are merged.
struct MergeFactors {
  float before, chunk;
};
__device__ __forceinline__ MergeFactors Join(float& largest, float of_chunk) {
  const float joint = fmaxf(largest, of_chunk), base = Base(joint);
  const MergeFactors factors = {Exp2(largest - base), Exp2(of_chunk - base)};
  largest = joint;
  return factors;
}
__device__ __forceinline__ float Merge(float before, float chunk, MergeFactors factors) {
  return fmaf(chunk, factors.chunk, before * factors.before);
}
/// A zero gets the same sign whatever was added to it.
__device__ __forceinline__ float Normalized(float sum, float weights) {
  return sum * (1.0f / weights) + 0.0f;
}

/// Keys and queries are multiplied in groups of 32 dims: lane (g, t) has elements 8 t..8 t + 7 of
/// row g, of which the first mma of 16 gets 0..3 and the second one 4..7. 16-byte chunk c of a row
/// in shared memory stands at chunk KeyChunk(row, c), so that a warp reads such groups of 8 rows
/// without bank conflicts.
__device__ __forceinline__ int KeyChunk(int row, int c) { return c ^ ((row & 1) << 2); }

/// The same for values, whose columns are read by LoadMatrix4Transposed.
__device__ __forceinline__ int ValueChunk(int row, int c) { return c ^ (row & 7); }

/// d += q k over 32 dims; q_low: row g of the queries, q_high: row g + 8.
template <class E>
__device__ __forceinline__ void MultiplyKeys(float (&d)[4], const uint4& q_low, const uint4& q_high,
                                             const uint4& k) {
  const uint32_t first[4] = {q_low.x, q_high.x, q_low.y, q_high.y};
  const uint32_t second[4] = {q_low.z, q_high.z, q_low.w, q_high.w};
  Operand<E>::Mma(d, first, k.x, k.y);
  Operand<E>::Mma(d, second, k.z, k.w);
}

/// Four int8 elements as halves.
__device__ __forceinline__ uint2 DequantizeWord(uint32_t codes, float step) {
  const uint32_t biased = codes ^ 0x80808080u;
  const auto element = [&](uint32_t select) {
    // The byte as the last bits of 2^23.
    const float shifted = __uint_as_float(__byte_perm(biased, 0x4b000000u, select));
    return Dequantized(shifted - 8388736.0f, step);
  };
  return {Operand<__half>::Pack(element(0x7440u), element(0x7441u)),
          Operand<__half>::Pack(element(0x7442u), element(0x7443u))};
}
__device__ __forceinline__ uint4 Dequantize8(uint32_t low, uint32_t high, float step) {
  const uint2 a = DequantizeWord(low, step), b = DequantizeWord(high, step);
  return {a.x, a.y, b.x, b.y};
}

/// A query's factor.
__device__ __forceinline__ float QueryScale(int head_dim) {
  return 1.44269504088896341f / sqrtf(static_cast<float>(head_dim));
}

/// Largest of the four lanes that share rows of a fragment.
__device__ __forceinline__ float QuadLargest(float x) {
  x = fmaxf(x, __shfl_xor_sync(~0u, x, 1));
  return fmaxf(x, __shfl_xor_sync(~0u, x, 2));
}

/// Whether the kernels with mma take this shape; the plain one takes the others. Heads of 256 need
/// more shared memory than GPUs have but for those of data centres, x.0.
inline bool IsTiled(const KvArgs& kv, int compute) {
  const bool large = compute % 10 == 0 && compute < 120;
  return kv.type != KvType::kF32 && kv.heads / kv.kv_heads <= 128 &&
         (kv.head_dim == 64 || kv.head_dim == 128 || (kv.head_dim == 256 && large));
}

/// Launchers of attention*.cu; shapes are tiled but for the last.
void AttentionSingles(const AttentionArgs& args, const RopeArgs* rope, const DeviceStep& step,
                      const KvArgs& kv, const Launch& launch);
void AttentionRuns(const AttentionArgs& args, const DeviceStep& step, const KvArgs& kv,
                   const Launch& launch);
void AttentionPlain(const AttentionArgs& args, const DeviceStep& step, const KvArgs& kv,
                    const Launch& launch);

}  // namespace tern::cuda
