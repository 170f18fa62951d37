// Distribution of a quantity over time, in bounded memory.
#pragma once

#include <array>
#include <cstdint>

namespace tern {

/// Counts of values in buckets whose width grows with the value: each power of two from 2^-20
/// (about 1e-6) to 2^12 is cut into 8, so a percentile is at most 12.5% above the true one. What is
/// below or above goes to the first or last bucket. For seconds that is a microsecond to an hour.
/// Thread rule: one owner; others get copies.
class Histogram {
 public:
  static constexpr int kFirstPower = -20, kLastPower = 12, kParts = 8;
  static constexpr int kBuckets = (kLastPower - kFirstPower) * kParts;

  /// Negative values and NaN count as 0.
  void Add(double value) { Add(value, 1); }
  void Add(double value, uint64_t times);

  uint64_t count() const { return count_; }
  double sum() const { return sum_; }
  double max() const { return max_; }
  /// Nearest rank: the upper bound of the bucket with the smallest value that at least p percent of
  /// the values don't exceed, but no more than max(); p in [0, 100]. 0 for no values.
  double Percentile(double p) const;
  /// Values that aren't larger than the bound; `bound` is rounded up to a bucket's.
  uint64_t CountUpTo(double bound) const;

 private:
  static int BucketOf(double value);
  static double UpperBound(int bucket);

  std::array<uint64_t, kBuckets> buckets_ = {};
  uint64_t count_ = 0;
  double sum_ = 0, max_ = 0;
};

}  // namespace tern
