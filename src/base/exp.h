// One exponential for every backend: the same operations in the same order give the same bits on
// one float and on vectors of floats. Freestanding and always inlined, so that each instruction set
// compiles its own.
#pragma once

#include <stdint.h>

namespace tern {

/// e^x within 4 ulp for x in [-87, 88]; smaller x give 0, larger ones e^88, NaN gives NaN.
/// V is float with I = int32_t, or a GCC vector of floats with I the vector of int32_t of the same
/// length. Method: x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts (Cody and Waite, 1980);
/// the polynomial of degree 6 is the Taylor series, whose first omitted term is below 2^-24 there.
template <class V, class I>
[[gnu::always_inline]] inline V ExpLanes(V x) {
  constexpr float kLowest = -87.0f, kHighest = 88.0f;
  constexpr float kRound =
      12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low mantissa bits
  const V zero = V{};
  const V clamped = x < kLowest ? zero + kLowest : (x > kHighest ? zero + kHighest : x);
  const V shifted = clamped * 1.44269504088896341f + kRound;
  const V n = shifted - kRound;
  const V r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  V p = r * (1.0f / 720) + (1.0f / 120);
  p = p * r + (1.0f / 24);
  p = p * r + (1.0f / 6);
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const V power = __builtin_bit_cast(
      V, static_cast<I>(__builtin_bit_cast(I, p) + (__builtin_bit_cast(I, shifted) << 23)));
  // The bits of a NaN plus those of the power may be a number.
  return x < kLowest ? zero : (x == x ? power : x);
}

/// The same for one float.
[[gnu::always_inline]] inline float Exp(float x) { return ExpLanes<float, uint32_t>(x); }

}  // namespace tern
