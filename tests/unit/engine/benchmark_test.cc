#include "engine/benchmark.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

const BenchmarkRow kRow = {"tg4", {10, 20, 30}, {0.4, 0.1, 0.2, 0.3}};

TEST(BenchmarkRow, MeanAndSampleDeviation) {
  EXPECT_DOUBLE_EQ(kRow.Mean(), 20);
  EXPECT_DOUBLE_EQ(kRow.Deviation(), 10);
}

TEST(BenchmarkRow, PercentilesAreNearestRanks) {
  EXPECT_DOUBLE_EQ(kRow.Percentile(50), 0.2);
  EXPECT_DOUBLE_EQ(kRow.Percentile(75), 0.3);
  EXPECT_DOUBLE_EQ(kRow.Percentile(99), 0.4);
  EXPECT_DOUBLE_EQ(kRow.Percentile(0), 0.1);
}

TEST(BenchmarkResults, TargetsAreMetOrMissed) {
  const BenchmarkResults results{"m", "cpu", 0, 0, 1, {kRow}};
  EXPECT_TRUE(results.MeetsTargets({}));
  EXPECT_TRUE(results.MeetsTargets({.min_rate = 20, .max_p99_seconds = 0.4}));
  EXPECT_FALSE(results.MeetsTargets({.min_rate = 20.1}));
  EXPECT_FALSE(results.MeetsTargets({.max_p99_seconds = 0.39}));
}

TEST(BenchmarkResults, DisplayIsATableWithARowForEachTest) {
  const BenchmarkResults results{"tiny", "cpu", 1 << 20, 2500000, 2, {kRow}};
  EXPECT_NE(
      results.Display().find("| tiny | 1.00 MiB | 2.50 M | cpu | 2 | tg4 | 20.00 ± 10.00 |\n"),
      std::string::npos);
}

}  // namespace
}  // namespace tern
