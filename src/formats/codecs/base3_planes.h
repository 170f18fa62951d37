// Base-3 bytes whose digits are far apart: byte m of an area holds, most significant digit first,
// elements m, m + stride, m + 2 stride, ... of that area. TQ1_0 and PTQ1_0 are three such areas
// each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "formats/codecs/base3.h"

namespace tern::codecs {

struct Base3Area {
  size_t byte_at;  // first byte, also the number of bytes before
  size_t bytes;    // = stride
  size_t elem_at;  // first element
  int digits;      // used of the five; the rest are 0
};

inline void UnpackArea(const Base3Area& area, const std::byte* block, uint8_t* codes) {
  for (int n = 0; n < area.digits; ++n)
    for (size_t m = 0; m < area.bytes; ++m)
      codes[area.elem_at + static_cast<size_t>(n) * area.bytes + m] =
          Base3Digit(std::to_integer<unsigned>(block[area.byte_at + m]), n);
}

inline void PackArea(const Base3Area& area, const uint8_t* codes, std::byte* block) {
  for (size_t m = 0; m < area.bytes; ++m) {
    unsigned value = 0;
    for (int n = 0; n < area.digits; ++n)
      value += codes[area.elem_at + static_cast<size_t>(n) * area.bytes + m] * kPowersOf3[4 - n];
    block[area.byte_at + m] = static_cast<std::byte>(Base3Byte(value));
  }
}

}  // namespace tern::codecs
