#include "tensor/q6_k.h"

#include <algorithm>
#include <array>
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

// A sub-block is x ~ scale * q. For a given inverse scale: the levels, and the sums that give the
// scale of least squared error weighted by x^2, sum(w x q) / sum(w q^2).
struct Trial {
  std::array<int, kSub> levels;
  float sum_xq = 0;
  float sum_qq = 0;
};

Trial TryInverse(const float* x, float inverse) {
  Trial t;
  for (size_t i = 0; i < kSub; ++i) {
    const int q =
        std::clamp(static_cast<int>(std::nearbyint(inverse * x[i])), -kLevels, kLevels - 1);
    const float weight = x[i] * x[i];
    t.levels[i] = q;
    t.sum_xq += weight * x[i] * static_cast<float>(q);
    t.sum_qq += weight * static_cast<float>(q) * static_cast<float>(q);
  }
  return t;
}

// Chooses among nineteen scales around the one that maps the value of largest magnitude to -32 (the
// side with one more level). Returns the scale and leaves the levels; 0 for a negligible sub-block.
float FitSubBlock(const float* x, int* levels) {
  float extreme = 0;
  for (size_t i = 0; i < kSub; ++i)
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  std::fill_n(levels, kSub, -kLevels);
  if (std::fabs(extreme) < kNegligible) return 0;

  Trial best = TryInverse(x, static_cast<float>(-kLevels) / extreme);
  float scale = best.sum_qq != 0 ? best.sum_xq / best.sum_qq : 0.0f;
  float merit = scale * best.sum_xq;
  for (int step = -9; step <= 9; ++step) {
    if (step == 0) continue;
    const Trial t =
        TryInverse(x, -(static_cast<float>(kLevels) + 0.1f * static_cast<float>(step)) / extreme);
    if (t.sum_qq > 0 && t.sum_xq * t.sum_xq > merit * t.sum_qq) {
      best = t;
      scale = t.sum_xq / t.sum_qq;
      merit = scale * t.sum_xq;
    }
  }
  std::copy(best.levels.begin(), best.levels.end(), levels);
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

  std::array<int, kQ6KElems> levels;
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
    const int multiple = std::min(127, static_cast<int>(std::nearbyint(inverse * scales[s])));
    StoreLe(block + kScalesAt + s, static_cast<int8_t>(multiple));
    // With the stored scale the levels are chosen anew; a scale that rounded to zero keeps the
    // fitted ones.
    const float stored = HalfToFloat(d) * static_cast<float>(multiple);
    if (stored == 0) continue;
    for (size_t e = s * kSub; e < (s + 1) * kSub; ++e)
      levels[e] =
          static_cast<int>(std::clamp(std::nearbyint(in[e] / stored), static_cast<float>(-kLevels),
                                      static_cast<float>(kLevels - 1)));
  }
  for (size_t e = 0; e < kQ6KElems; ++e) {
    const auto code = static_cast<unsigned>(levels[e] + kLevels);
    const Place place = PlaceOf(e);
    OrInto(block[place.low_byte], (code & 15u) << place.low_shift);
    OrInto(block[place.high_byte], (code >> 4) << place.high_shift);
  }
  return {};
}

}  // namespace tern
