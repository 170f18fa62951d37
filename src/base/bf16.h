// Rounding to bfloat16 for attention. Freestanding and always inlined, like base/exp.h, so that
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

}  // namespace tern
