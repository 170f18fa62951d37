// Plain C++ for the float kernels of the head: 16-byte vectors, which every 64-bit machine has or
// GCC takes apart.
#pragma once

#include "backend/cpu/isa/lanes.h"

namespace tern::cpu {
namespace {

struct ScalarLanes : LaneMath<16> {
  static constexpr int kSingleRows = 1, kDirectRows = 1, kDirectCols = 2;
  static constexpr int kBlockRows = 1, kBlockCols = 2;

  using Words16 = uint16_t __attribute__((vector_size(16)));
  using Words16At = uint16_t __attribute__((vector_size(16), aligned(1), may_alias));
  using Words32 = uint32_t __attribute__((vector_size(16)));

  // Shifting the exponent and multiplying by 2^112 rebuilds normal and subnormal halves exactly;
  // infinities and NaN come out with exponent 143 and are patched.
  TERN_INLINE static Vec HalfToFloat(Words32 w) {
    const Words32 magnitude = (w & 0x7fffu) << 13;
    const Vec scaled = reinterpret_cast<Vec>(magnitude) * 0x1p112f;
    const Words32 bits =
        (w & 0x7c00u) == 0x7c00u ? magnitude | 0x7f800000u : reinterpret_cast<Words32>(scaled);
    return reinterpret_cast<Vec>(bits | (w & 0x8000u) << 16);
  }
  // Little-endian: zeros behind a 16-bit number widen it, zeros before it shift it up.
  TERN_INLINE static Words32 Low(Words16 a, Words16 b) {
    return reinterpret_cast<Words32>(__builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11));
  }
  TERN_INLINE static Words32 High(Words16 a, Words16 b) {
    return reinterpret_cast<Words32>(__builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15));
  }
  template <class Value>
  TERN_INLINE static Lanes Each(Value value) {
    float lane[kLanes];
    for (int i = 0; i < kLanes; ++i) lane[i] = value(i);
    return Load(lane);
  }

  TERN_INLINE static Lanes Half(const uint8_t* p) {
    const Words16 zero = {}, a = *reinterpret_cast<const Words16At*>(p),
                  b = *reinterpret_cast<const Words16At*>(p + 16);
    return {{HalfToFloat(Low(a, zero)), HalfToFloat(High(a, zero)), HalfToFloat(Low(b, zero)),
             HalfToFloat(High(b, zero))}};
  }
  TERN_INLINE static Lanes Bf16(const uint8_t* p) {
    const Words16 zero = {}, a = *reinterpret_cast<const Words16At*>(p),
                  b = *reinterpret_cast<const Words16At*>(p + 16);
    return {{reinterpret_cast<Vec>(Low(zero, a)), reinterpret_cast<Vec>(High(zero, a)),
             reinterpret_cast<Vec>(Low(zero, b)), reinterpret_cast<Vec>(High(zero, b))}};
  }
  TERN_INLINE static Lanes Int8(const int8_t* p) {
    return Each([p](int i) { return static_cast<float>(p[i]); });
  }
  TERN_INLINE static Lanes HalfSplat(const uint8_t* p) {
    uint16_t half;
    __builtin_memcpy(&half, p, sizeof half);
    const Vec all = HalfToFloat(Words32{} + half);
    return {{all, all, all, all}};
  }

  using Table = float;
  TERN_INLINE static Table TernaryTable(float scale) { return scale; }
  TERN_INLINE static Lanes Ternary(Table scale, const uint8_t* p) {
    return Each([p, scale](int i) {
      return scale * static_cast<float>((p[i / 4] >> (2 * (i % 4)) & 3) - 1);
    });
  }
};

}  // namespace
}  // namespace tern::cpu
