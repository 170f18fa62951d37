#include "perf/compare.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/rng.h"
#include "perf/change_point.h"
#include "perf/statistics.h"

namespace tern {
namespace {

double Gauss(Rng& rng) {  // Box and Muller 1958
  return std::sqrt(-2 * std::log(1 - rng.NextUnit())) *
         std::cos(2 * std::numbers::pi * rng.NextUnit());
}

// Times around 1: log-normal with this deviation, and a long tail as a busy machine makes it.
std::vector<double> Times(Rng& rng, size_t n, double factor, double deviation) {
  std::vector<double> times(n);
  for (double& t : times) {
    t = factor * std::exp(deviation * Gauss(rng));
    if (rng.NextUnit() < 0.05) t *= 1.3;
  }
  return times;
}

TEST(Bootstrap, OddAndEvenMediansAndTheSeed) {
  const std::vector<double> a = {1, 2, 3, 4}, b = {2, 4, 6, 8};
  EXPECT_EQ(RatioOfMedians(a, b).ratio, 2);
  EXPECT_EQ(MedianOfRatios(a, b).ratio, 2);
  EXPECT_EQ(MedianOfRatios(a, b).low, 2);  // every pair has this ratio
  EXPECT_EQ(MedianOfRatios(a, b).high, 2);
  Rng rng(1);
  const std::vector<double> x = Times(rng, 20, 1, 0.1), y = Times(rng, 21, 1, 0.1);
  const RatioInterval one = RatioOfMedians(x, y, {.seed = 5}),
                      two = RatioOfMedians(x, y, {.seed = 5});
  EXPECT_EQ(one.low, two.low);
  EXPECT_EQ(one.high, two.high);
  EXPECT_EQ(one.ratio, Median(y) / Median(x));
  const auto few = [&](uint64_t seed) {
    return RatioOfMedians(x, y, {.resamples = 20, .seed = seed});
  };
  EXPECT_FALSE(few(1).low == few(2).low && few(2).low == few(3).low);
  EXPECT_LE(one.low, one.ratio);
  EXPECT_GE(one.high, one.ratio);
  EXPECT_EQ(RatioOfMedians({}, y).ratio, 1);
}

// Oracle: all 27 * 27 samples with replacement of 3 and 3 values, each equally likely.
TEST(Bootstrap, QuantilesAreThoseOfAllResamples) {
  const std::vector<double> a = {1, 1.5, 2}, b = {3, 4, 7};
  std::vector<double> all;
  const auto median = [](double x, double y, double z) {
    return std::max(std::min(x, y), std::min(std::max(x, y), z));
  };
  for (int i = 0; i < 27; ++i)
    for (int j = 0; j < 27; ++j) {
      const auto draw = [&](const std::vector<double>& v, int code) {
        return median(v[static_cast<size_t>(code % 3)], v[static_cast<size_t>(code / 3 % 3)],
                      v[static_cast<size_t>(code / 9)]);
      };
      all.push_back(draw(b, j) / draw(a, i));
    }
  const RatioInterval found = RatioOfMedians(a, b, {.confidence = 0.8, .resamples = 100000});
  EXPECT_EQ(found.low, Percentile(all, 10));
  EXPECT_EQ(found.high, Percentile(all, 90));
}

// The interval holds the truth about as often as it says.
TEST(Bootstrap, CoversTheTruth) {
  Rng rng(42);
  int plain = 0, paired = 0;
  constexpr int kTrials = 400;
  for (int i = 0; i < kTrials; ++i) {
    const auto a = Times(rng, 20, 1, 0.05), b = Times(rng, 20, 1.1, 0.05);
    const auto holds = [](const RatioInterval& r) { return r.low <= 1.1 && r.high >= 1.1; };
    plain += holds(RatioOfMedians(a, b, {.resamples = 1000, .seed = static_cast<uint64_t>(i)}));
    paired += holds(MedianOfRatios(a, b, {.resamples = 1000, .seed = static_cast<uint64_t>(i)}));
  }
  for (const int covered : {plain, paired}) {
    EXPECT_GE(covered, kTrials * 92 / 100);
    EXPECT_LE(covered, kTrials * 995 / 1000);
  }
}

ComparedSeries Series(std::vector<double> a, std::vector<double> b, bool paired) {
  return {"x", "us", false, paired, std::move(a), std::move(b), 0};
}

Comparison JudgeOne(const ComparedSeries& series, double tolerance = 0.05) {
  RegressionDetector detector({.tolerance = tolerance});
  detector.Add(series);
  return detector.Judge().front();
}

TEST(RegressionDetector, FindsWhatIsThereAndNothingElse) {
  for (const bool paired : {false, true}) {
    Rng rng(9);
    int slower = 0, faster = 0, same = 0, alarms = 0;
    constexpr int kTrials = 200;
    for (int i = 0; i < kTrials; ++i) {
      const auto verdict = [&](double factor) {
        return JudgeOne(Series(Times(rng, 30, 1, 0.02), Times(rng, 30, factor, 0.02), paired), 0.03)
            .verdict;
      };
      slower += verdict(1.05) == Verdict::kSlower;
      faster += verdict(1 / 1.05) == Verdict::kFaster;
      const Verdict none = verdict(1);
      same += none == Verdict::kSame;
      alarms += none == Verdict::kSlower || none == Verdict::kFaster;
    }
    EXPECT_GE(slower, kTrials * 95 / 100) << paired;
    EXPECT_GE(faster, kTrials * 95 / 100) << paired;
    EXPECT_GE(same, kTrials * 95 / 100) << paired;
    EXPECT_LE(alarms, kTrials * 3 / 100) << paired;
  }
}

TEST(RegressionDetector, PairsSeeThroughWhatDisturbsBoth) {
  Rng rng(4);
  std::vector<double> a, b;
  for (int i = 0; i < 20; ++i) {
    const double machine = 1 + 0.5 * rng.NextUnit();  // the neighbours' work
    a.push_back(machine * std::exp(0.005 * Gauss(rng)));
    b.push_back(1.05 * machine * std::exp(0.005 * Gauss(rng)));
  }
  EXPECT_EQ(JudgeOne(Series(a, b, true)).verdict, Verdict::kSlower);
  EXPECT_EQ(JudgeOne(Series(a, b, false)).verdict, Verdict::kUnknown);
}

TEST(RegressionDetector, RatesAreTurnedOver) {
  Rng rng(4);
  const auto a = Times(rng, 20, 100, 0.01), b = Times(rng, 20, 80, 0.01);
  ComparedSeries rates = Series(a, b, false);
  EXPECT_EQ(JudgeOne(rates).verdict, Verdict::kFaster);
  rates.more_is_better = true;
  const Comparison c = JudgeOne(rates);
  EXPECT_EQ(c.verdict, Verdict::kSlower);
  EXPECT_NEAR(c.cost.ratio, 1.25, 0.02);
  EXPECT_EQ(c.median_b, Median(b));
}

TEST(RegressionDetector, SmallChangesAreTheSameAndFewRoundsTellNothing) {
  Rng rng(8);
  // Surely there, and surely below the tolerance.
  const Comparison small =
      JudgeOne(Series(Times(rng, 100, 1, 0.001), Times(rng, 100, 1.01, 0.001), false));
  EXPECT_EQ(small.verdict, Verdict::kSame);
  EXPECT_LT(small.p, 1e-6);
  for (const bool paired : {false, true}) {
    const Comparison few = JudgeOne(Series({1, 1.01, 0.99}, {2, 2.01, 1.99}, paired));
    EXPECT_EQ(few.verdict, Verdict::kUnknown);
    EXPECT_EQ(few.more_rounds, paired ? 3 : 1);
  }
}

// "So many more rounds would tell" is true.
TEST(RegressionDetector, MoreRoundsDoTell) {
  Rng rng(21);
  int told = 0, asked = 0;
  for (int i = 0; i < 60; ++i) {
    auto a = Times(rng, 10, 1, 0.08), b = Times(rng, 10, 1, 0.08);
    const Comparison c = JudgeOne(Series(a, b, false));
    if (c.verdict != Verdict::kUnknown) continue;
    EXPECT_GT(c.more_rounds, 0);
    ++asked;
    const auto more_a = Times(rng, static_cast<size_t>(c.more_rounds), 1, 0.08);
    const auto more_b = Times(rng, static_cast<size_t>(c.more_rounds), 1, 0.08);
    a.insert(a.end(), more_a.begin(), more_a.end());
    b.insert(b.end(), more_b.begin(), more_b.end());
    told += JudgeOne(Series(a, b, false)).verdict != Verdict::kUnknown;
  }
  EXPECT_GT(asked, 30);
  EXPECT_GE(told, asked * 7 / 10);
}

TEST(RegressionDetector, ManyBenchmarksRaiseNoMoreAlarmsThanOne) {
  Rng rng(5);
  constexpr int kTrials = 100, kBenchmarks = 20;
  int corrected = 0, plain = 0;
  for (int i = 0; i < kTrials; ++i) {
    RegressionDetector holm({.tolerance = 0, .resamples = 400});
    RegressionDetector none({.tolerance = 0, .correction = Correction::kNone, .resamples = 400});
    for (int k = 0; k < kBenchmarks; ++k) {
      const ComparedSeries s = Series(Times(rng, 12, 1, 0.05), Times(rng, 12, 1, 0.05), false);
      holm.Add(s);
      none.Add(s);
    }
    corrected += RegressionDetector::Worst(holm.Judge()) == Verdict::kSlower;
    plain += RegressionDetector::Worst(none.Judge()) == Verdict::kSlower;
  }
  EXPECT_LE(corrected, 6);
  EXPECT_GE(plain, 2 * corrected + 6);  // what the correction is for
}

TEST(RegressionDetector, NoiseOfEqualProgramsWidensTheInterval) {
  Rng rng(2);
  // The machine changed its speed by 4% between two runs of one program.
  const auto a1 = Times(rng, 40, 1, 0.005), a2 = Times(rng, 40, 1.04, 0.005);
  const double noise = NoiseBeyondChance(a1, a2, false);
  EXPECT_NEAR(noise, 0.04, 0.006);
  EXPECT_NEAR(NoiseBeyondChance(a2, a1, false), 0.04, 0.006);
  EXPECT_EQ(NoiseBeyondChance(a1, Times(rng, 40, 1, 0.005), false), 0);
  ComparedSeries series = Series(a1, Times(rng, 40, 1.04, 0.005), false);
  EXPECT_EQ(JudgeOne(series, 0.03).verdict, Verdict::kSlower);
  series.noise = noise;
  EXPECT_EQ(JudgeOne(series, 0.03).verdict, Verdict::kUnknown);
}

TEST(RegressionDetector, TheWorstVerdictCounts) {
  const auto worst = [](std::vector<Verdict> verdicts) {
    std::vector<Comparison> comparisons(verdicts.size());
    for (size_t i = 0; i < verdicts.size(); ++i) comparisons[i].verdict = verdicts[i];
    return RegressionDetector::Worst(comparisons);
  };
  using enum Verdict;
  EXPECT_EQ(worst({}), kSame);
  EXPECT_EQ(worst({kSame, kFaster}), kFaster);
  EXPECT_EQ(worst({kFaster, kUnknown}), kUnknown);
  EXPECT_EQ(worst({kUnknown, kSlower, kSame}), kSlower);
}

// A history of 200 commits on a noisy machine, with one change of 5% in it.
TEST(ChangePoint, APlantedChangeIsLocatedWithinOneCommit) {
  int located = 0, alone = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Rng rng(seed);
    const auto at = static_cast<size_t>(20 + rng.NextUnit() * 160);
    std::vector<double> history = Times(rng, at, 1, 0.01);
    const auto after = Times(rng, 200 - at, 1.05, 0.01);
    history.insert(history.end(), after.begin(), after.end());
    const auto found = FindChangePoints(history, {.min_effect = 0.02, .seed = seed});
    located += std::any_of(found.begin(), found.end(), [&](const ChangePoint& c) {
      return c.index + 1 >= at && c.index <= at + 1;
    });
    alone += found.size() == 1;
  }
  EXPECT_GE(located, 19);
  EXPECT_GE(alone, 18);
}

TEST(ChangePoint, NoneInANoisyFlatHistory) {
  int quiet = 0, quiet_with_effect = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Rng rng(seed);
    const auto history = Times(rng, 200, 1, 0.03);
    quiet += FindChangePoints(history, {.seed = seed}).empty();
    quiet_with_effect += FindChangePoints(history, {.min_effect = 0.02, .seed = seed}).empty();
  }
  EXPECT_GE(quiet, 18);
  EXPECT_GE(quiet_with_effect, 19);
}

TEST(ChangePoint, SeveralChangesAndTheirSides) {
  Rng rng(3);
  std::vector<double> history;
  for (const double level : {10.0, 12.0, 9.0, 9.5}) {
    const auto part = Times(rng, 40, level, 0.01);
    history.insert(history.end(), part.begin(), part.end());
  }
  const auto found = FindChangePoints(history);
  ASSERT_EQ(found.size(), 3u);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(static_cast<double>(found[i].index), 40.0 * (static_cast<double>(i) + 1), 1);
  EXPECT_NEAR(found[0].before, 10, 0.2);
  EXPECT_NEAR(found[0].after, 12, 0.2);
  EXPECT_NEAR(found[2].after, 9.5, 0.2);
  // The small one goes when only large ones are asked for; its neighbour's segment grows.
  EXPECT_EQ(FindChangePoints(history, {.min_effect = 0.1}).size(), 2u);
  // Rates see what times see.
  for (double& value : history) value = 1 / value;
  const auto rates = FindChangePoints(history);
  ASSERT_EQ(rates.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(rates[i].index, found[i].index);
}

TEST(ChangePoint, ShortAndConstantHistories) {
  EXPECT_TRUE(FindChangePoints({}).empty());
  EXPECT_TRUE(FindChangePoints(std::vector{1.0}).empty());
  EXPECT_TRUE(FindChangePoints(std::vector{1., 1., 1., 1., 2., 2., 2., 2., 2.}).empty());
  EXPECT_TRUE(FindChangePoints(std::vector(50, 3.0)).empty());
  std::vector<double> step(30, 1.0);
  std::fill(step.begin() + 12, step.end(), 2.0);
  const auto found = FindChangePoints(step);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].index, 12u);
  EXPECT_EQ(found[0].before, 1);
  EXPECT_EQ(found[0].after, 2);
  EXPECT_LE(found[0].p, 0.01);
}

}  // namespace
}  // namespace tern
