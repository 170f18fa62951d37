#include "perf/histogram.h"

#include <algorithm>
#include <cmath>

namespace tern {

int Histogram::BucketOf(double value) {
  int power = 0;
  const double fraction = std::frexp(value, &power);  // value = fraction * 2^power, in [0.5, 1)
  if (power - 1 < kFirstPower || value <= 0) return 0;
  if (power - 1 >= kLastPower) return kBuckets - 1;
  return (power - 1 - kFirstPower) * kParts + static_cast<int>((fraction * 2 - 1) * kParts);
}

double Histogram::UpperBound(int bucket) {
  return std::ldexp(1 + (bucket % kParts + 1.0) / kParts, kFirstPower + bucket / kParts);
}

void Histogram::Add(double value, uint64_t times) {
  if (!(value > 0)) value = 0;
  buckets_[static_cast<size_t>(BucketOf(value))] += times;
  count_ += times;
  sum_ += value * static_cast<double>(times);
  max_ = std::max(max_, value);
}

double Histogram::Percentile(double p) const {
  if (count_ == 0) return 0;
  const double rank = std::max(1.0, std::ceil(p / 100 * static_cast<double>(count_)));
  uint64_t seen = 0;
  for (int i = 0; i < kBuckets; ++i) {
    seen += buckets_[static_cast<size_t>(i)];
    if (static_cast<double>(seen) >= rank) return std::min(UpperBound(i), max_);
  }
  return max_;
}

uint64_t Histogram::CountUpTo(double bound) const {
  uint64_t seen = 0;
  for (int i = 0; i < kBuckets; ++i) {
    seen += buckets_[static_cast<size_t>(i)];
    if (UpperBound(i) >= bound) break;
  }
  return seen;
}

}  // namespace tern
