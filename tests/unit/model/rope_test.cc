#include <gtest/gtest.h>

#include <cmath>

#include "model/model_config.h"

namespace tern {
namespace {

TEST(RopeTable, HoldsCosinesThenSinesOfPositionTimesFrequency) {
  const RopeConfig rope{.base = 10000, .dims = 8};
  const auto table = RopeTable(rope, 50);
  ASSERT_EQ(table.size(), 50u * 8u);
  for (const int p : {0, 1, 49}) {
    for (int i = 0; i < 4; ++i) {
      const double angle = p * std::pow(10000.0, -i / 4.0);
      EXPECT_NEAR(table[static_cast<size_t>(p * 8 + i)], std::cos(angle), 2e-6);
      EXPECT_NEAR(table[static_cast<size_t>(p * 8 + 4 + i)], std::sin(angle), 2e-6);
    }
  }
}

TEST(RopeTable, LinearScalingStretchesPositions) {
  RopeConfig plain{.base = 10000, .dims = 8}, scaled = plain;
  scaled.scaling = RopeConfig::Scaling::kLinear;
  scaled.factor = 4;
  const auto a = RopeTable(plain, 10), b = RopeTable(scaled, 40);
  for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(a[9 * 8 + i], b[36 * 8 + i], 1e-6);
}

TEST(RopeTable, FrequencyFactorsDivide) {
  RopeConfig rope{.base = 10000, .dims = 4};
  rope.frequency_factors = {1, 8};
  const auto table = RopeTable(rope, 9);
  EXPECT_NEAR(table[8 * 4 + 1], std::cos(8 * 0.01 / 8), 1e-6);
}

// YaRN keeps the fastest frequencies, divides the slowest by the factor, and scales the magnitude
// by 0.1 ln(factor) + 1 (Peng et al., 2023, equations 19 to 22).
TEST(RopeTable, YarnKeepsFastFrequenciesAndDividesSlowOnes) {
  RopeConfig rope{.base = 1e6, .dims = 128};
  rope.scaling = RopeConfig::Scaling::kYarn;
  rope.factor = 4;
  rope.original_context = 32768;
  const auto table = RopeTable(rope, 2);
  const double magnitude = 0.1 * std::log(4.0) + 1;
  const auto angle = [&](size_t i) { return std::atan2(table[128 + 64 + i], table[128 + i]); };
  EXPECT_NEAR(std::hypot(table[128], table[128 + 64]), magnitude, 1e-6);
  EXPECT_NEAR(angle(0), 1.0, 1e-6);
  EXPECT_NEAR(angle(63) / (std::pow(1e6, -126.0 / 128) / 4), 1, 1e-4);
}

}  // namespace
}  // namespace tern
