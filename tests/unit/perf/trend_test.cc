#include "perf/trend.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace tern {
namespace {

TEST(TheilSen, TooFewPointsHaveNoTrend) {
  const TrendPoint two[] = {{0, 1}, {1, 2}};
  EXPECT_EQ(TheilSen(two).high, 0);
  const TrendPoint at_once[] = {{5, 1}, {5, 2}, {5, 3}};
  EXPECT_EQ(TheilSen(at_once).slope, 0);
}

TEST(TheilSen, ALineIsFoundInSpiteOfOutliers) {
  std::vector<TrendPoint> points;
  for (int i = 0; i < 40; ++i) points.push_back({i * 30.0, 7 + 0.5 * i * 30});
  for (const size_t i : {3u, 9u, 20u, 21u, 22u, 35u}) points[i].value = 1e6;
  const Trend trend = TheilSen(points);
  EXPECT_EQ(trend.slope, 0.5);
  EXPECT_TRUE(trend.Rising());
  EXPECT_FALSE(trend.Falling());
}

// Sen's own arithmetic for these points, by hand: 10 slopes, sorted -1 -0.5 0 0.5 1 1 1.33 1.67 2
// 3; sigma^2 = 5*4*15/18, 1.96 sigma = 8.0; ranks 1 (-1) and 9 of 0..9.
TEST(TheilSen, TheIntervalIsSens) {
  const TrendPoint points[] = {{0, 0}, {1, 3}, {2, 2}, {3, 4}, {4, 4}};
  std::vector<double> slopes;
  for (int i = 0; i < 5; ++i)
    for (int j = i + 1; j < 5; ++j) slopes.push_back((points[j].value - points[i].value) / (j - i));
  std::sort(slopes.begin(), slopes.end());
  const Trend trend = TheilSen(points);
  EXPECT_EQ(trend.slope, (slopes[4] + slopes[5]) / 2);
  EXPECT_EQ(trend.low, slopes[0]);
  EXPECT_EQ(trend.high, slopes[9]);
}

// The oracle is the truth that the points were made from: 95% of the intervals hold it.
TEST(TheilSen, TheIntervalHoldsTheTruthAsOftenAsItSays) {
  constexpr int kTrials = 1000, kPoints = 60;
  constexpr double kSlope = 0.3;
  std::mt19937_64 random(5);
  std::student_t_distribution<double> noise(3);  // with outliers
  int held = 0, rising = 0, falling = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<TrendPoint> points, flat;
    for (int i = 0; i < kPoints; ++i) {
      points.push_back({double(i), kSlope * i + 2 * noise(random)});
      flat.push_back({double(i), 2 * noise(random)});
    }
    const Trend trend = TheilSen(points);
    held += trend.low <= kSlope && kSlope <= trend.high;
    const Trend none = TheilSen(flat);
    rising += none.Rising();
    falling += none.Falling();
  }
  // 950 are expected, with a deviation of 7; each false alarm 25, with a deviation of 5.
  EXPECT_NEAR(held, 950, 28);
  EXPECT_NEAR(rising, 25, 20);
  EXPECT_NEAR(falling, 25, 20);
}

}  // namespace
}  // namespace tern
