#include "base/float16.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace tern {
namespace {

constexpr uint16_t kHalfInfinity = 0x7c00;

// Value of a finite half from the definition of the format, exact in double.
double HalfValue(uint16_t h) {
  const int exponent = h >> 10 & 31;
  const int mantissa = h & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return (h & 0x8000) != 0 ? -magnitude : magnitude;
}

bool IsNanHalf(uint16_t h) { return (h & 0x7fff) > kHalfInfinity; }

TEST(Float16, AllHalfPatternsDecodeToTheirValue) {
  for (uint32_t i = 0; i < 65536; ++i) {
    const auto h = static_cast<uint16_t>(i);
    const float f = HalfToFloat(h);
    if (IsNanHalf(h)) {
      EXPECT_TRUE(std::isnan(f)) << i;
      continue;
    }
    EXPECT_EQ(std::signbit(f), (h & 0x8000) != 0) << i;
    if ((h & 0x7fff) == kHalfInfinity)
      EXPECT_TRUE(std::isinf(f)) << i;
    else
      EXPECT_EQ(static_cast<double>(f), HalfValue(h)) << i;
  }
}

TEST(Float16, AllHalfPatternsSurviveTheWayToFloatAndBack) {
  for (uint32_t i = 0; i < 65536; ++i) {
    const auto h = static_cast<uint16_t>(i);
    if (IsNanHalf(h))
      EXPECT_TRUE(IsNanHalf(FloatToHalf(HalfToFloat(h)))) << i;
    else
      EXPECT_EQ(FloatToHalf(HalfToFloat(h)), h);
  }
}

// Between two neighbouring halves: below the middle rounds down, above it up, the middle to the
// even pattern.
TEST(Float16, FloatsRoundToTheNearestHalfAndTiesToEven) {
  for (uint32_t i = 0; i < kHalfInfinity; ++i) {
    const auto low = static_cast<uint16_t>(i);
    const auto high = static_cast<uint16_t>(i + 1);
    // The neighbour of the largest half is where the next step would be.
    const double above = high == kHalfInfinity ? 65536.0 : HalfValue(high);
    const auto middle = static_cast<float>((HalfValue(low) + above) / 2);
    const uint16_t even = low % 2 == 0 ? low : high;
    EXPECT_EQ(FloatToHalf(middle), even) << i;
    EXPECT_EQ(FloatToHalf(std::nextafter(middle, 0.0f)), low) << i;
    EXPECT_EQ(FloatToHalf(std::nextafter(middle, 1e9f)), high) << i;
    EXPECT_EQ(FloatToHalf(-middle), even | 0x8000) << i;
  }
}

TEST(Float16, LargeFloatsBecomeInfinityAndTinyOnesZero) {
  EXPECT_EQ(FloatToHalf(65519.996f), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520.0f), kHalfInfinity);
  EXPECT_EQ(FloatToHalf(std::numeric_limits<float>::max()), kHalfInfinity);
  EXPECT_EQ(FloatToHalf(-std::numeric_limits<float>::infinity()), kHalfInfinity | 0x8000);
  EXPECT_EQ(FloatToHalf(std::numeric_limits<float>::denorm_min()), 0);
  EXPECT_EQ(FloatToHalf(-0.0f), 0x8000);
  EXPECT_TRUE(IsNanHalf(FloatToHalf(std::numeric_limits<float>::quiet_NaN())));
  // A NaN whose payload lies in the bits that are cut off must not become infinity.
  EXPECT_TRUE(IsNanHalf(FloatToHalf(std::bit_cast<float>(0x7f800001u))));
}

// Nearest by comparing distances in double with both neighbours, for a sweep over all exponents.
TEST(Float16, ASweepOverAllFloatsAgreesWithBruteForce) {
  std::vector<double> values;
  for (uint32_t i = 0; i < kHalfInfinity; ++i)
    values.push_back(HalfValue(static_cast<uint16_t>(i)));
  for (uint64_t bits = 0; bits < 0x7f800000u; bits += 50021) {
    const auto f = std::bit_cast<float>(static_cast<uint32_t>(bits));
    const double x = f;
    if (x >= 65520) {
      EXPECT_EQ(FloatToHalf(f), kHalfInfinity);
      continue;
    }
    const auto upper = std::lower_bound(values.begin(), values.end(), x);
    auto best = static_cast<size_t>(upper - values.begin());
    if (best == values.size()) best = values.size() - 1;
    if (best > 0) {
      const double down = x - values[best - 1];
      const double up = values[best] - x;
      if (down < up || (down == up && (best - 1) % 2 == 0)) --best;
    }
    EXPECT_EQ(FloatToHalf(f), best) << x;
  }
}

TEST(Bfloat16, AllPatternsDecodeToTheUpperHalfOfAFloatAndBack) {
  for (uint32_t i = 0; i < 65536; ++i) {
    const auto h = static_cast<uint16_t>(i);
    const float f = Bf16ToFloat(h);
    EXPECT_EQ(std::bit_cast<uint32_t>(f), i << 16);
    if (std::isnan(f))
      EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(f)))) << i;
    else
      EXPECT_EQ(FloatToBf16(f), h);
  }
}

TEST(Bfloat16, FloatsRoundHalfToEvenAroundEveryPattern) {
  for (uint32_t i = 0; i < 0x7f80; ++i) {
    const uint32_t middle = i << 16 | 0x8000;
    EXPECT_EQ(FloatToBf16(std::bit_cast<float>(middle)), i + i % 2) << i;
    EXPECT_EQ(FloatToBf16(std::bit_cast<float>(middle - 1)), i) << i;
    EXPECT_EQ(FloatToBf16(std::bit_cast<float>(middle + 1)), i + 1) << i;
    EXPECT_EQ(FloatToBf16(std::bit_cast<float>(middle | 0x80000000u)), (i + i % 2) | 0x8000) << i;
  }
}

TEST(Bfloat16, NanWithALowPayloadStaysNan) {
  EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(std::bit_cast<float>(0x7f800001u)))));
  EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(std::bit_cast<float>(0xffffffffu)))));
}

}  // namespace
}  // namespace tern
