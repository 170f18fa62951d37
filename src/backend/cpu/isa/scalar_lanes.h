// Plain C++ for the float kernels of the head: 16-byte vectors, which every 64-bit machine has or
// GCC takes apart.
#pragma once

#include "backend/cpu/isa/lanes.h"

namespace tern::cpu {
namespace {

struct ScalarLanes : LaneMath<16> {
  static constexpr int kSingleRows = 1, kDirectRows = 1, kDirectCols = 2;
  static constexpr int kScratchRows = 1, kScratchCols = 2;

  TERN_INLINE static float HalfToFloat(uint16_t half) {
    // Shifting the exponent and multiplying by 2^112 rebuilds normal and subnormal halves exactly.
    const uint32_t w = half;
    const uint32_t magnitude = (w & 0x7fffu) << 13;
    const float scaled = __builtin_bit_cast(float, magnitude) * 0x1p112f;
    const uint32_t bits =
        (w & 0x7c00u) == 0x7c00u ? magnitude | 0x7f800000u : __builtin_bit_cast(uint32_t, scaled);
    return __builtin_bit_cast(float, bits | (w & 0x8000u) << 16);
  }
  template <class Value>
  TERN_INLINE static Lanes Each(Value value) {
    float lane[kLanes];
    for (int i = 0; i < kLanes; ++i) lane[i] = value(i);
    return Load(lane);
  }

  TERN_INLINE static Lanes Half(const uint8_t* p) {
    uint16_t half[kLanes];
    __builtin_memcpy(half, p, sizeof half);
    return Each([&half](int i) { return HalfToFloat(half[i]); });
  }
  TERN_INLINE static Lanes Bf16(const uint8_t* p) {
    uint16_t half[kLanes];
    __builtin_memcpy(half, p, sizeof half);
    return Each(
        [&half](int i) { return __builtin_bit_cast(float, static_cast<uint32_t>(half[i]) << 16); });
  }
  TERN_INLINE static Lanes Int8(const int8_t* p) {
    return Each([p](int i) { return static_cast<float>(p[i]); });
  }
  TERN_INLINE static float HalfOne(const uint8_t* p) {
    uint16_t half;
    __builtin_memcpy(&half, p, sizeof half);
    return HalfToFloat(half);
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
