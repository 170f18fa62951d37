#include "perf/histogram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "perf/statistics.h"

namespace tern {
namespace {

TEST(Histogram, NothingIsZero) {
  const Histogram empty;
  EXPECT_EQ(empty.count(), 0u);
  EXPECT_EQ(empty.Percentile(99), 0);
}

// Oracle: the percentile of all values.
TEST(Histogram, PercentilesAreAtMostABucketAboveTheTruth) {
  Rng random(3);
  Histogram histogram;
  std::vector<double> values;
  for (int i = 0; i < 5000; ++i) {
    values.push_back(std::exp(random.NextUnit() * 16 - 12));  // 6e-6 to 55
    histogram.Add(values.back());
  }
  for (const double p : {0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    const double truth = Percentile(values, p);
    EXPECT_GE(histogram.Percentile(p), truth);
    EXPECT_LE(histogram.Percentile(p), truth * 1.125);
  }
  EXPECT_EQ(histogram.Percentile(100), histogram.max());
  EXPECT_EQ(histogram.count(), 5000u);
}

TEST(Histogram, ValuesOutsideAllBucketsCountAtTheEnds) {
  Histogram histogram;
  histogram.Add(-1);
  histogram.Add(std::numeric_limits<double>::quiet_NaN());
  histogram.Add(1e-12);
  histogram.Add(1e9, 3);
  EXPECT_EQ(histogram.count(), 6u);
  EXPECT_LT(histogram.Percentile(50), 2e-6);
  EXPECT_EQ(histogram.max(), 1e9);
  EXPECT_EQ(histogram.CountUpTo(1), 3u);
}

TEST(Histogram, CountsUpToABound) {
  Histogram histogram;
  for (const double value : {0.1, 0.2, 0.4}) histogram.Add(value);
  EXPECT_EQ(histogram.CountUpTo(0.05), 0u);
  EXPECT_EQ(histogram.CountUpTo(0.25), 2u);
  EXPECT_EQ(histogram.CountUpTo(10), 3u);
}

}  // namespace
}  // namespace tern
