#include "perf/statistics.h"

#include <gtest/gtest.h>

#include <vector>

namespace tern {
namespace {

const std::vector<double> kValues = {0.4, 0.1, 0.2, 0.3};

TEST(Statistics, MeanAndSampleDeviation) {
  EXPECT_DOUBLE_EQ(Mean(std::vector<double>{10, 20, 30}), 20);
  EXPECT_DOUBLE_EQ(SampleDeviation(std::vector<double>{10, 20, 30}), 10);
  EXPECT_EQ(SampleDeviation(std::vector<double>{7}), 0);
}

TEST(Statistics, PercentilesAreNearestRanks) {
  EXPECT_EQ(Percentile(kValues, 0), 0.1);
  EXPECT_EQ(Percentile(kValues, 25), 0.1);
  EXPECT_EQ(Percentile(kValues, 26), 0.2);
  EXPECT_EQ(Percentile(kValues, 50), 0.2);
  EXPECT_EQ(Percentile(kValues, 75), 0.3);
  EXPECT_EQ(Percentile(kValues, 99), 0.4);
  EXPECT_EQ(Percentile(kValues, 100), 0.4);
  std::vector<double> hundred;
  for (int i = 100; i > 0; --i) hundred.push_back(i);
  EXPECT_EQ(Percentile(hundred, 95), 95);
  EXPECT_EQ(Percentile(hundred, 99), 99);
}

TEST(Statistics, TheMedianOfAnEvenNumberIsBetweenTheMiddleTwo) {
  EXPECT_DOUBLE_EQ(Median(kValues), 0.25);
  EXPECT_EQ(Median(std::vector<double>{5, 1, 3}), 3);
  const Spread spread = SpreadOf(std::vector<double>{5, 1, 3});
  EXPECT_EQ(spread.median, 3);
  EXPECT_EQ(spread.min, 1);
  EXPECT_EQ(spread.max, 5);
}

TEST(Statistics, NothingMeasuredIsZero) {
  EXPECT_EQ(Mean({}), 0);
  EXPECT_EQ(Percentile({}, 50), 0);
  EXPECT_EQ(Median({}), 0);
  EXPECT_EQ(SpreadOf({}).max, 0);
}

}  // namespace
}  // namespace tern
