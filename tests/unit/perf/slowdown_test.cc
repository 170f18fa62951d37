#include "perf/slowdown.h"

#include <gtest/gtest.h>

#include <random>

namespace tern {
namespace {

constexpr double kLearning = 60;

TEST(UsualTimes, LearnsForItsTimeAndKeepsTheMedian) {
  UsualTimes usual(kLearning);
  double now = 0;
  for (int i = 0; i < 200; ++i, now += 0.5) {
    const auto ratio = usual.Ratio(1, now, i % 10 == 0 ? 5.0 : 2.0);  // with slow ones among them
    EXPECT_EQ(ratio.has_value(), now > kLearning) << now;
  }
  EXPECT_EQ(usual.learnt(), 1u);
  EXPECT_EQ(usual.Ratio(1, now, 3.0), 1.5);
  EXPECT_EQ(usual.Ratio(1, now, 0), std::nullopt);
  EXPECT_EQ(usual.Ratio(2, now, 3.0), std::nullopt);  // other work is learnt for itself
}

TEST(UsualTimes, FewTimesAreNotEnough) {
  UsualTimes usual(kLearning);
  for (size_t i = 0; i < UsualTimes::kLearned - 1; ++i)
    EXPECT_FALSE(usual.Ratio(1, static_cast<double>(i) * 1000, 2));
  EXPECT_FALSE(usual.Ratio(1, 1e6, 2));  // the last to learn from
  EXPECT_EQ(usual.Ratio(1, 1e6, 2), 1);
}

TEST(UsualTimes, WorkOfEverChangingKindsTakesNoMoreMemory) {
  UsualTimes usual(0);
  for (uint64_t cell = 0; cell < 2 * UsualTimes::kMostCells; ++cell) usual.Ratio(cell, 0, 1);
  for (size_t i = 0; i < 2 * UsualTimes::kLearned; ++i) {
    usual.Ratio(0, 1, 1);
    EXPECT_FALSE(usual.Ratio(UsualTimes::kMostCells, 1, 1));
  }
  EXPECT_EQ(usual.learnt(), 1u);
}

TEST(SlowdownEvidence, TheIntervalHoldsTheTruthAsOftenAsItSays) {
  std::mt19937_64 random(3);
  std::lognormal_distribution<double> noise(0, 0.2);  // its median is 1
  int held = 0;
  constexpr int kTrials = 1000;
  for (int trial = 0; trial < kTrials; ++trial) {
    Histogram ratios;
    for (int i = 0; i < 40; ++i) ratios.Record(1.1 * noise(random));
    const SlowdownEvidence evidence = EvidenceOf(ratios.Snapshot());
    held += evidence.low <= 1.1 && 1.1 <= evidence.high;
    EXPECT_LE(evidence.low, evidence.ratio);
    EXPECT_GE(evidence.high, evidence.ratio);
  }
  EXPECT_GE(held, 930);
}

constexpr double kTolerance = 0.05, kHold = 60;
constexpr SlowdownEvidence kSlower = {100, 1.2, 1.1, 1.3}, kAsUsual = {100, 1.01, 0.9, 1.2},
                           kUnclear = {100, 1.08, 1.0, 1.2}, kNothing = {}, kFew = {3, 2, 2, 2};

// Observes every 10 s from `now` on, `times` times; whether the alert changed, and where.
struct Clock {
  SlowdownWatch watch{kTolerance, kHold};
  double now = 1000;
  int changed = 0;
  double changed_at = 0;

  void Observe(const SlowdownEvidence& evidence, int times) {
    for (int i = 0; i < times; ++i, now += 10) {
      if (!watch.Observe(now, evidence)) continue;
      ++changed;
      changed_at = now;
    }
  }
};

TEST(SlowdownWatch, FiresAfterTheHoldAndEndsAfterAsMuchOfTheUsual) {
  Clock clock;
  clock.Observe(kAsUsual, 100);
  EXPECT_EQ(clock.watch.state(), SlowdownState::kUsual);
  const double began = clock.now;
  clock.Observe(kSlower, 6);
  EXPECT_EQ(clock.watch.state(), SlowdownState::kSuspect);
  EXPECT_FALSE(clock.watch.firing());
  clock.Observe(kSlower, 1);
  EXPECT_TRUE(clock.watch.firing());
  EXPECT_EQ(clock.changed_at, began + kHold);
  clock.Observe(kSlower, 50);
  clock.Observe(kUnclear, 50);
  clock.Observe(kNothing, 50);
  EXPECT_EQ(clock.watch.state(), SlowdownState::kSlow);
  const double ended = clock.now;
  clock.Observe(kAsUsual, 6);
  EXPECT_EQ(clock.watch.state(), SlowdownState::kRecovering);
  EXPECT_TRUE(clock.watch.firing());
  clock.Observe(kAsUsual, 1);
  EXPECT_FALSE(clock.watch.firing());
  EXPECT_EQ(clock.changed_at, ended + kHold);
  EXPECT_EQ(clock.changed, 2);
}

TEST(SlowdownWatch, AMomentIsNoAlert) {
  Clock clock;
  for (int i = 0; i < 20; ++i) {
    clock.Observe(kSlower, 5);
    clock.Observe(kAsUsual, 1);
  }
  EXPECT_EQ(clock.changed, 0);
  EXPECT_EQ(clock.watch.state(), SlowdownState::kUsual);
}

TEST(SlowdownWatch, AMomentOfTheUsualIsNoEnd) {
  Clock clock;
  clock.Observe(kSlower, 10);
  for (int i = 0; i < 20; ++i) {
    clock.Observe(kAsUsual, 5);
    EXPECT_EQ(clock.watch.state(), SlowdownState::kRecovering);
    clock.Observe(kSlower, 1);
  }
  EXPECT_TRUE(clock.watch.firing());
  EXPECT_EQ(clock.changed, 1);
}

TEST(SlowdownWatch, UnclearAndScarceEvidenceProvesNothing) {
  Clock clock;
  clock.Observe(kUnclear, 100);
  clock.Observe(kFew, 100);
  EXPECT_EQ(clock.watch.state(), SlowdownState::kUsual);
  clock.Observe(kSlower, 1);
  clock.Observe(kUnclear, 5);
  EXPECT_EQ(clock.watch.state(), SlowdownState::kSuspect);
  clock.Observe(kNothing, 1);  // nothing has supported it for the whole hold
  EXPECT_EQ(clock.watch.state(), SlowdownState::kUsual);
  EXPECT_EQ(clock.changed, 0);
}

}  // namespace
}  // namespace tern
