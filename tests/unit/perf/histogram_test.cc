#include "perf/histogram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>
#include <vector>

namespace tern {
namespace {

TEST(Histogram, NothingIsZero) {
  const HistogramSnapshot empty = Histogram().Snapshot();
  EXPECT_EQ(empty.count(), 0u);
  EXPECT_EQ(empty.Percentile(99), 0);
  EXPECT_EQ(empty.CountUpTo(1), 0u);
  EXPECT_EQ(empty.Since(empty).max(), 0);
}

TEST(Histogram, ValuesOutsideAllBucketsCountAtTheEnds) {
  Histogram histogram;
  histogram.Record(-1);
  histogram.Record(std::numeric_limits<double>::quiet_NaN());
  histogram.Record(1e-12);
  histogram.Record(1e9, 3);
  const HistogramSnapshot found = histogram.Snapshot();
  EXPECT_EQ(found.count(), 6u);
  EXPECT_EQ(found.Percentile(50), 0);
  EXPECT_EQ(found.Percentile(60), 1e9);
  EXPECT_EQ(found.max(), 1e9);
  EXPECT_EQ(found.sum(), 3e9 + 1e-12);
  EXPECT_EQ(found.CountUpTo(1), 3u);
}

TEST(Histogram, CountsUpToABound) {
  Histogram histogram;
  for (const double value : {0.1, 0.2, 0.4}) histogram.Record(value);
  const HistogramSnapshot found = histogram.Snapshot();
  EXPECT_EQ(found.CountUpTo(0.05), 0u);
  EXPECT_EQ(found.CountUpTo(0.2), 2u);  // the bound itself counts
  EXPECT_EQ(found.CountUpTo(0.25), 2u);
  EXPECT_EQ(found.CountUpTo(10), 3u);
}

TEST(Histogram, EveryBucketHoldsItsEdges) {
  using Buckets = HistogramBuckets;
  EXPECT_EQ(Buckets::Edge(0), std::ldexp(1, Buckets::kFirstPower));
  EXPECT_EQ(Buckets::Edge(Buckets::kCount - 2), std::ldexp(1, Buckets::kLastPower));
  for (size_t i = 1; i + 1 < Buckets::kCount; ++i) {
    EXPECT_EQ(Buckets::Of(Buckets::Edge(i - 1)), i);
    EXPECT_EQ(Buckets::Of(std::nextafter(Buckets::Edge(i), 0)), i);
  }
}

// Run under ThreadSanitizer too.
TEST(Histogram, ThreadsLoseNothing) {
  constexpr int kThreads = 4, kEach = 5000;
  Histogram histogram;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        histogram.Record(t + 1);
        if (i % 1000 == 0) {
          EXPECT_LE(histogram.Snapshot().Percentile(50), kThreads);
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  const HistogramSnapshot found = histogram.Snapshot();
  EXPECT_EQ(found.count(), uint64_t{kThreads * kEach});
  EXPECT_EQ(found.sum(), kEach * (1 + 2 + 3 + 4));
  EXPECT_EQ(found.max(), 4);
  EXPECT_EQ(found.CountUpTo(2), uint64_t{2 * kEach});
}

}  // namespace
}  // namespace tern
