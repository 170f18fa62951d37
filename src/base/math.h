// Checked integer arithmetic for sizes that come from files, and float reductions in one fixed
// order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace tern {

/// a * b, or nothing when it does not fit.
inline std::optional<uint64_t> CheckedMul(uint64_t a, uint64_t b) {
  uint64_t out = 0;
  if (__builtin_mul_overflow(a, b, &out)) return std::nullopt;
  return out;
}

/// a + b, or nothing when it does not fit.
inline std::optional<uint64_t> CheckedAdd(uint64_t a, uint64_t b) {
  uint64_t out = 0;
  if (__builtin_add_overflow(a, b, &out)) return std::nullopt;
  return out;
}

/// Smallest multiple of `to` (a power of two) that is >= value. The caller has checked that it
/// fits.
constexpr uint64_t AlignUp(uint64_t value, uint64_t to) { return (value + to - 1) & ~(to - 1); }

/// Lanes of every float reduction: element i is added to lane i mod 16 in increasing i, then the
/// lanes are added pairwise (i with i+8, then +4, +2, +1). Every backend follows this order, so
/// float results are the same bits on every ISA, for every thread count.
inline constexpr size_t kReduceLanes = 16;

inline float ReduceLanes(float* lanes) {
  for (size_t step = kReduceLanes / 2; step > 0; step /= 2)
    for (size_t i = 0; i < step; ++i) lanes[i] += lanes[i + step];
  return lanes[0];
}

/// Attention is computed over blocks of this many positions, each with its own softmax sums; the
/// blocks are then joined in increasing order. So blocks may be computed anywhere, in parallel,
/// with the same result.
inline constexpr int64_t kAttentionBlock = 256;

/// sum of term(i) for i in [0, n), in the fixed order.
template <class Term>
float SumLanes(size_t n, Term term) {
  float lanes[kReduceLanes] = {};
  size_t i = 0;
  for (; i + kReduceLanes <= n; i += kReduceLanes)
    for (size_t lane = 0; lane < kReduceLanes; ++lane) lanes[lane] += term(i + lane);
  for (size_t lane = 0; i + lane < n; ++lane) lanes[lane] += term(i + lane);
  return ReduceLanes(lanes);
}

/// Dot product in the fixed order.
inline float Dot(const float* a, const float* b, size_t n) {
  return SumLanes(n, [a, b](size_t i) { return a[i] * b[i]; });
}

}  // namespace tern
