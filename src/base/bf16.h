// Rounding to 16 bits for attention. Freestanding and always inlined, like base/exp.h, so that
// each instruction set compiles its own.
#pragma once

#include <stdint.h>

namespace tern {

/// The bits of x as bfloat16 (in the low half of each lane): rounded half to even, |x| < 2^-30 as
/// 0, at most 2^60 in magnitude, 0 for NaN. Such numbers multiply and add up without subnormals,
/// which AMX takes for zero, and without overflow, where fused and separate sums would differ; and
/// a position that is masked by a weight of 0 can't poison the others. V is float with U =
/// uint32_t, or a GCC vector of floats with U the vector of uint32_t of the same length.
template <class V, class U>
[[gnu::always_inline]] inline U Bf16Bits(V x) {
  const U zero = U{};
  const U bits = __builtin_bit_cast(U, x);
  const U magnitude = bits & 0x7fffffffu;
  const U sign = (bits >> 16) & 0x8000u;
  const U rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const U bounded = magnitude >= 0x5d800000u ? sign | 0x5d80u : rounded;
  return magnitude < 0x30800000u ? zero : (magnitude > 0x7f800000u ? zero : bounded);
}

/// x rounded to bfloat16, as a float again.
[[gnu::always_inline]] inline float RoundBf16(float x) {
  return __builtin_bit_cast(float, Bf16Bits<float, uint32_t>(x) << 16);
}

/// x rounded to 13 significant bits, half to even, within the same bounds: its product with a half,
/// which has 11, is exact in float.
template <class V, class U>
[[gnu::always_inline]] inline V Round13(V x) {
  const U zero = U{};
  const U bits = __builtin_bit_cast(U, x);
  const U magnitude = bits & 0x7fffffffu;
  const U rounded = (bits + 0x3ffu + ((bits >> 11) & 1u)) & 0xfffff800u;
  const U bounded = magnitude >= 0x5d800000u ? (bits & 0x80000000u) | 0x5d800000u : rounded;
  const U kept = magnitude < 0x30800000u ? zero : (magnitude > 0x7f800000u ? zero : bounded);
  return __builtin_bit_cast(V, kept);
}

/// The bits of x as an IEEE half: at most 65504 in magnitude, 0 for NaN.
template <class V, class U>
[[gnu::always_inline]] inline U HalfBits(V x) {
  const U zero = U{};
  const U bits = __builtin_bit_cast(U, x);
  const U magnitude = bits & 0x7fffffffu;
  const U sign = (bits >> 16) & 0x8000u;
  // Below 2^-14, adding 0.5 leaves a multiple of 2^-24 in the low mantissa bits.
  const U small = __builtin_bit_cast(U, __builtin_bit_cast(V, magnitude) + 0.5f) - 0x3f000000u;
  const U normal = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  const U rounded = magnitude < 0x38800000u ? small : normal;
  const U bounded = magnitude >= 0x477fe000u ? zero + 0x7bffu : rounded;
  return magnitude > 0x7f800000u ? zero : (sign | bounded);
}

}  // namespace tern
