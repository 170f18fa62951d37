// Distribution of a quantity over time, in fixed memory, recorded by many threads at once.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace tern {

/// Buckets whose width grows with the value, as in HdrHistogram: each power of two from 2^-30
/// (about 1e-9) to 2^20 (about 1e6) is cut into 128, so that the middle of a bucket is at most 0.4%
/// from every value in it. For seconds that is a nanosecond to twelve days. Smaller values,
/// negative ones and NaN go to bucket 0 and count as 0, larger ones to the last.
class HistogramBuckets {
 public:
  static constexpr int kFirstPower = -30, kLastPower = 20, kPartBits = 7;
  static constexpr double kRelativeError = 1.0 / 256;  // of a percentile
  static constexpr size_t kCount =
      (static_cast<size_t>(kLastPower - kFirstPower) << kPartBits) + 2;  // with both ends

  static size_t Of(double value) {
    if (!(value >= Edge(0))) return 0;
    if (value >= Edge(kCount - 2)) return kCount - 1;
    // A double's exponent and first bits of its fraction, as one number, count the buckets.
    return static_cast<size_t>((std::bit_cast<uint64_t>(value) >> kShift) - kBase) + 1;
  }
  /// Where a bucket in between begins and ends: bucket i holds [Edge(i - 1), Edge(i)).
  static constexpr double Edge(size_t i) {
    return std::bit_cast<double>((kBase + uint64_t{i}) << kShift);
  }

 private:
  static constexpr int kShift = 52 - kPartBits;
  static constexpr uint64_t kBase = uint64_t{1023 + kFirstPower} << kPartBits;
};

/// What a histogram held at a moment, or what several held together. A plain value.
class HistogramSnapshot {
 public:
  uint64_t count() const { return count_; }
  double sum() const { return sum_; }
  double max() const { return max_; }
  /// Nearest rank: the smallest value that at least p percent of the values don't exceed, off by at
  /// most HistogramBuckets::kRelativeError; p in [0, 100], where 100 is max() itself. 0 for no
  /// values.
  double Percentile(double p) const;
  /// Values that aren't larger than the bound, which is rounded up to its bucket's end.
  uint64_t CountUpTo(double bound) const;

  void Merge(const HistogramSnapshot& other);
  /// What has come since an earlier snapshot of the same histogram. Its max() is that of the larger
  /// one, cut to the highest bucket in use.
  HistogramSnapshot Since(const HistogramSnapshot& earlier) const;

 private:
  friend class Histogram;

  std::vector<std::pair<size_t, uint64_t>> buckets_;  // those with values, by number
  uint64_t count_ = 0;
  double sum_ = 0, max_ = 0;
};

/// Thread rule: any thread. Recording takes no lock and allocates nothing; a snapshot that is taken
/// meanwhile has all of what was recorded before it, and may have half of a record (its bucket, but
/// not its sum).
class Histogram {
 public:
  void Record(double value, uint64_t times = 1) noexcept {
    if (!(value > 0)) value = 0;
    buckets_[HistogramBuckets::Of(value)].fetch_add(times, std::memory_order_relaxed);
    sum_.fetch_add(value * static_cast<double>(times), std::memory_order_relaxed);
    double max = max_.load(std::memory_order_relaxed);
    while (value > max && !max_.compare_exchange_weak(max, value, std::memory_order_relaxed)) {
    }
  }

  HistogramSnapshot Snapshot() const;

 private:
  std::array<std::atomic<uint64_t>, HistogramBuckets::kCount> buckets_ = {};
  std::atomic<double> sum_ = 0, max_ = 0;
};

}  // namespace tern
