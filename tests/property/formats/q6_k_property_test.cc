// The Q6_K encoder, which tries all scales at once, against the same search written one step after
// the other, as upstream describes it.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>

#include "base/bytes.h"
#include "base/float16.h"
#include "tensor/dense_matrix.h"

namespace tern {
namespace {

constexpr int kElems = 256;

int Clamp(int q) { return std::max(-32, std::min(31, q)); }
int Nearest(float x) { return static_cast<int>(std::nearbyint(x)); }

// Least squares, weighted by x^2, over 16 values; levels 0..63.
float NaiveFit(const float* x, int* levels) {
  float extreme = 0;
  for (int i = 0; i < 16; ++i)
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  for (int i = 0; i < 16; ++i) levels[i] = 0;
  if (std::fabs(extreme) < 1e-15f) return 0;
  float best_scale = 0, best_merit = 0;
  for (int step : {0, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
    const float inverse = -(32.0f + 0.1f * static_cast<float>(step)) / extreme;
    float xq = 0, qq = 0;
    for (int i = 0; i < 16; ++i) {
      const auto q = static_cast<float>(Clamp(Nearest(inverse * x[i])));
      xq += x[i] * x[i] * x[i] * q;
      qq += x[i] * x[i] * q * q;
    }
    const bool better = step == 0 || (qq > 0 && xq * xq > best_merit * qq);
    if (!better) continue;
    best_scale = qq != 0 ? xq / qq : 0;
    best_merit = best_scale * xq;
    for (int i = 0; i < 16; ++i) levels[i] = Clamp(Nearest(inverse * x[i])) + 32;
  }
  return best_scale;
}

std::vector<std::byte> NaiveEncode(const std::array<float, kElems>& x) {
  std::vector<std::byte> block(210);
  std::array<int, kElems> levels{};
  std::array<float, 16> scales{};
  float extreme = 0;
  for (int s = 0; s < 16; ++s) {
    scales[static_cast<size_t>(s)] =
        NaiveFit(&x[static_cast<size_t>(16 * s)], &levels[static_cast<size_t>(16 * s)]);
    if (std::fabs(scales[static_cast<size_t>(s)]) > std::fabs(extreme))
      extreme = scales[static_cast<size_t>(s)];
  }
  if (std::fabs(extreme) < 1e-15f) return block;
  const float inverse = -128.0f / extreme;
  const uint16_t half = FloatToHalf(1 / inverse);
  StoreLe(block.data() + 208, half);
  for (size_t s = 0; s < 16; ++s) {
    const int multiple = std::min(127, Nearest(inverse * scales[s]));
    StoreLe(block.data() + 192 + s, static_cast<int8_t>(multiple));
    const float d = HalfToFloat(half) * static_cast<float>(multiple);
    if (d == 0) continue;
    for (size_t i = 16 * s; i < 16 * (s + 1); ++i)
      levels[i] = static_cast<int>(std::fmax(-32, std::fmin(31, std::nearbyint(x[i] / d)))) + 32;
  }
  for (size_t e = 0; e < kElems; ++e) {
    const size_t h = e / 128, t = e % 128 / 32, l = e % 32;
    const auto q = static_cast<unsigned>(levels[e]);
    block[64 * h + 32 * (t % 2) + l] |= static_cast<std::byte>((q & 15) << (t < 2 ? 0 : 4));
    block[128 + 32 * h + l] |= static_cast<std::byte>(q >> 4 << (2 * t));
  }
  return block;
}

TEST(Q6KEncoder, GivesTheBytesOfTheNaiveSearch) {
  std::mt19937 random(11);
  std::normal_distribution<float> gauss;
  for (int round = 0; round < 4000; ++round) {
    std::array<float, kElems> x{};
    const float magnitude = std::exp2(gauss(random) * 2 - 4);
    for (float& v : x) {
      v = magnitude * gauss(random);
      if (round % 4 == 1)
        v = std::rint(v * 8 / magnitude) / 8 * magnitude;  // many equal values and ties
      if (round % 4 == 2 && random() % 8 != 0) v = 0;
      if (round % 4 == 3) v *= v * v;  // a few large values
    }
    std::vector<std::byte> out(210);
    ASSERT_TRUE(EncodeRow(DType::kQ6_K, x, out));
    ASSERT_EQ(out, NaiveEncode(x)) << "round " << round;
  }
}

}  // namespace
}  // namespace tern
