#include "tensor/q6_k.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include "base/bytes.h"
#include "base/float16.h"

namespace tern {
namespace {

constexpr size_t kSub = 16;  // elements of a sub-block
constexpr size_t kSubs = kQ6KElems / kSub;
constexpr size_t kHighAt = 128;  // byte offsets inside the block
constexpr size_t kScalesAt = kHighAt + 64;
constexpr size_t kScaleAt = kScalesAt + kSubs;
constexpr int kLevels = 32;            // q lies in -32..31
constexpr float kNegligible = 1e-15f;  // upstream's threshold for an all-zero group

// Nearest integer, halves to even, of |x| < 2^22: in x + 1.5 * 2^23 the mantissa counts integers.
int NearestInt(float x) {
  constexpr float kMagic = 12582912.0f;
  return std::bit_cast<int32_t>(x + kMagic) - std::bit_cast<int32_t>(kMagic);
}

// The level of a value in units of the scale, |x| < 2^22. Clamped as an integer, because compilers
// do not make vector code of comparisons between floats.
float Level(float x) {
  return static_cast<float>(std::min(std::max(NearestInt(x), -kLevels), kLevels - 1));
}

constexpr size_t kTrials = 19;

// Inverse scales to try: first the one that maps the value of largest magnitude to -32 (the side
// with one more level), then those around it.
std::array<float, kTrials> InverseScales(float extreme) {
  std::array<float, kTrials> inverse{};
  size_t n = 0;
  inverse[n++] = static_cast<float>(-kLevels) / extreme;
  for (int step = -9; step <= 9; ++step)
    if (step != 0)
      inverse[n++] = -(static_cast<float>(kLevels) + 0.1f * static_cast<float>(step)) / extreme;
  return inverse;
}

// A sub-block is x ~ scale * q. Of all trials takes the one whose best scale, sum(w x q) / sum(w
// q^2) with w = x^2, leaves the least error. Returns that scale and the levels; 0 for a negligible
// sub-block. The sums of all trials run side by side, each in the order of the elements.
float FitSubBlock(const float* x, float* levels) {
  float extreme = 0;
  for (size_t i = 0; i < kSub; ++i)
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  std::fill_n(levels, kSub, static_cast<float>(-kLevels));
  if (std::fabs(extreme) < kNegligible) return 0;

  const std::array<float, kTrials> inverse = InverseScales(extreme);
  std::array<float, kTrials> sum_xq{}, sum_qq{};
  for (size_t i = 0; i < kSub; ++i) {
    const float weight = x[i] * x[i];
    for (size_t t = 0; t < kTrials; ++t) {
      const float q = Level(inverse[t] * x[i]);
      sum_xq[t] += weight * x[i] * q;
      sum_qq[t] += weight * q * q;
    }
  }
  size_t best = 0;
  float scale = sum_qq[0] != 0 ? sum_xq[0] / sum_qq[0] : 0.0f;
  float merit = scale * sum_xq[0];
  for (size_t t = 1; t < kTrials; ++t) {
    if (!(sum_qq[t] > 0) || !(sum_xq[t] * sum_xq[t] > merit * sum_qq[t])) continue;
    best = t;
    scale = sum_xq[t] / sum_qq[t];
    merit = scale * sum_xq[t];
  }
  for (size_t i = 0; i < kSub; ++i) levels[i] = Level(inverse[best] * x[i]);
  return scale;
}

// Element 128h + 32t + l takes 4 low bits from ql[64h + 32(t%2) + l] (t >= 2: the high nibble) and
// 2 high bits from qh[32h + l] at 2t.
struct Place {
  size_t low_byte;
  unsigned low_shift;
  size_t high_byte;
  unsigned high_shift;
};
Place PlaceOf(size_t element) {
  const size_t h = element / 128;
  const size_t t = element % 128 / 32;
  const size_t l = element % 32;
  return {64 * h + 32 * (t % 2) + l, t < 2 ? 0u : 4u, kHighAt + 32 * h + l,
          static_cast<unsigned>(2 * t)};
}

void OrInto(std::byte& target, unsigned bits) { target |= static_cast<std::byte>(bits); }

}  // namespace

void DecodeQ6KBlock(const std::byte* block, float* out) {
  const float d = HalfToFloat(LoadLe<uint16_t>(block + kScaleAt));
  for (size_t e = 0; e < kQ6KElems; ++e) {
    const Place place = PlaceOf(e);
    const unsigned low = std::to_integer<unsigned>(block[place.low_byte]) >> place.low_shift & 15u;
    const unsigned high =
        std::to_integer<unsigned>(block[place.high_byte]) >> place.high_shift & 3u;
    const auto sub_scale = static_cast<float>(LoadLe<int8_t>(block + kScalesAt + e / kSub));
    out[e] = d * sub_scale * static_cast<float>(static_cast<int>(low | high << 4) - kLevels);
  }
}

Status EncodeQ6KBlock(std::span<const float, kQ6KElems> in, std::byte* block) {
  for (size_t e = 0; e < kQ6KElems; ++e)
    if (!std::isfinite(in[e]))
      return Fail(Code::kInvalidArgument, "element {} is {}, expected a finite number", e, in[e]);

  std::array<float, kQ6KElems> levels;
  std::array<float, kSubs> scales;
  float extreme = 0;
  for (size_t s = 0; s < kSubs; ++s) {
    scales[s] = FitSubBlock(in.data() + s * kSub, levels.data() + s * kSub);
    if (!std::isfinite(scales[s]))
      return Fail(Code::kInvalidArgument, "element {} and its neighbours are too large for q6_k",
                  s * kSub);
    if (std::fabs(scales[s]) > std::fabs(extreme)) extreme = scales[s];
  }
  std::fill_n(block, kQ6KBytes, std::byte{0});
  if (std::fabs(extreme) < kNegligible) return {};

  const float inverse = -128.0f / extreme;
  const uint16_t d = FloatToHalf(1.0f / inverse);
  if (!std::isfinite(HalfToFloat(d)) || !std::isfinite(inverse))
    return Fail(Code::kInvalidArgument, "a scale of {} does not fit q6_k", extreme);
  StoreLe(block + kScaleAt, d);
  for (size_t s = 0; s < kSubs; ++s) {
    const int multiple = std::min(127, NearestInt(inverse * scales[s]));
    StoreLe(block + kScalesAt + s, static_cast<int8_t>(multiple));
    // With the stored scale the levels are chosen anew; a scale that rounded to zero keeps the
    // fitted ones.
    const float stored = HalfToFloat(d) * static_cast<float>(multiple);
    if (stored == 0) continue;
    for (size_t e = s * kSub; e < (s + 1) * kSub; ++e)
      levels[e] = Level(std::clamp(in[e] / stored, -1.0f * kLevels, 1.0f * kLevels));
  }
  for (size_t e = 0; e < kQ6KElems; ++e) {
    const auto code = static_cast<unsigned>(static_cast<int>(levels[e]) + kLevels);
    const Place place = PlaceOf(e);
    OrInto(block[place.low_byte], (code & 15u) << place.low_shift);
    OrInto(block[place.high_byte], (code >> 4) << place.high_shift);
  }
  return {};
}

}  // namespace tern
