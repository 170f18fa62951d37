// The arithmetic of attention, the same in every kernel. Queries are multiplied by log2(e) /
// sqrt(head_dim) and rounded to what mma takes (f16; bf16 for such elements). Scores of int8 keys
// are multiplied by the key's step, int8 values are dequantised to f16. Then, for a query:
//   A unit is 64 positions: scores by mma over increasing dims (MultiplyKeys), m = the largest
//   score so far in the chunk, out *= 2^(m before - m), weights = 2^(score - m) rounded to 16 bits,
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

/// d += q k over 16 dims, of which lane (g, t) has 4 t..4 t + 3: of rows g (q_low) and g + 8 of the
/// queries and of row g of the keys. The order within the 16 is one that a warpgroup's product
/// gives the same bits for.
template <class E>
__device__ __forceinline__ void MultiplyKeys(float (&d)[4], uint2 q_low, uint2 q_high, uint2 k) {
  const uint32_t q[4] = {q_low.x, q_high.x, q_low.y, q_high.y};
  Operand<E>::Mma(d, q, k.x, k.y);
}

/// Four int8 codes as halves: a byte as the last bits of 1024, less 1024 + 128.
__device__ __forceinline__ uint2 CodesAsHalves(uint32_t codes) {
  const uint32_t biased = codes ^ 0x80808080u;
  const auto pair = [&](uint32_t select) {
    const uint32_t shifted = __byte_perm(biased, 0x64646464u, select);
    const __half2 x = __hsub2(reinterpret_cast<const __half2&>(shifted), __half2half2(1152));
    return reinterpret_cast<const uint32_t&>(x);
  };
  return {pair(0x4140u), pair(0x4342u)};
}

/// Four int8 elements, code * step, as halves: a byte as the last bits of 2^23, less 2^23 + 128.
__device__ __forceinline__ uint2 Dequantize4(uint32_t codes, float step) {
  const uint32_t biased = codes ^ 0x80808080u;
  const auto element = [&](uint32_t select) {
    return (__uint_as_float(__byte_perm(biased, 0x4b000000u, select)) - 8388736.0f) * step;
  };
  return {Operand<__half>::Pack(element(0x7440u), element(0x7441u)),
          Operand<__half>::Pack(element(0x7442u), element(0x7443u))};
}
__device__ __forceinline__ uint4 Dequantize8(uint32_t low, uint32_t high, float step) {
  const uint2 a = Dequantize4(low, step), b = Dequantize4(high, step);
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
