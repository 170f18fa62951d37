#include "perf/histogram.h"

#include <algorithm>
#include <cmath>

namespace tern {

using Buckets = HistogramBuckets;

HistogramSnapshot Histogram::Snapshot() const {
  HistogramSnapshot result;
  for (size_t i = 0; i < Buckets::kCount; ++i) {
    const uint64_t count = buckets_[i].load(std::memory_order_relaxed);
    if (count == 0) continue;
    result.buckets_.emplace_back(i, count);
    result.count_ += count;
  }
  result.sum_ = sum_.load(std::memory_order_relaxed);
  result.max_ = max_.load(std::memory_order_relaxed);
  return result;
}

double HistogramSnapshot::Percentile(double p) const {
  const double rank = std::max(1.0, std::ceil(p / 100 * static_cast<double>(count_)));
  if (rank >= static_cast<double>(count_)) return max_;
  uint64_t seen = 0;
  for (const auto& [bucket, count] : buckets_) {
    seen += count;
    if (static_cast<double>(seen) < rank) continue;
    if (bucket == 0) return 0;
    if (bucket == Buckets::kCount - 1) return max_;
    return std::min(max_, (Buckets::Edge(bucket - 1) + Buckets::Edge(bucket)) / 2);
  }
  return max_;
}

uint64_t HistogramSnapshot::CountUpTo(double bound) const {
  const size_t last = Buckets::Of(bound);
  uint64_t seen = 0;
  for (const auto& [bucket, count] : buckets_)
    if (bucket <= last) seen += count;
  return seen;
}

void HistogramSnapshot::Merge(const HistogramSnapshot& other) {
  std::vector<std::pair<size_t, uint64_t>> both;
  both.reserve(buckets_.size() + other.buckets_.size());
  std::merge(buckets_.begin(), buckets_.end(), other.buckets_.begin(), other.buckets_.end(),
             std::back_inserter(both));
  buckets_.clear();
  for (const auto& [bucket, count] : both) {
    if (!buckets_.empty() && buckets_.back().first == bucket)
      buckets_.back().second += count;
    else
      buckets_.emplace_back(bucket, count);
  }
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

HistogramSnapshot HistogramSnapshot::Since(const HistogramSnapshot& earlier) const {
  HistogramSnapshot result;
  auto old = earlier.buckets_.begin();
  for (const auto& [bucket, count] : buckets_) {
    while (old != earlier.buckets_.end() && old->first < bucket) ++old;
    const bool both = old != earlier.buckets_.end() && old->first == bucket;
    const uint64_t added = count - (both ? std::min(count, old->second) : 0);
    if (added == 0) continue;
    result.buckets_.emplace_back(bucket, added);
    result.count_ += added;
  }
  if (result.count_ == 0) return result;
  result.sum_ = std::max(0.0, sum_ - earlier.sum_);
  const size_t highest = result.buckets_.back().first;
  result.max_ = highest == Buckets::kCount - 1 ? max_ : std::min(max_, Buckets::Edge(highest));
  return result;
}

}  // namespace tern
