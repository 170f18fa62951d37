// Five ternary digits in a byte, as TQ1_0, PTQ1_0 and IQ1_BN keep them: with v = sum of digits in
// base 3, the byte is ceil(v * 256 / 243). Multiplying the byte (mod 256) by 3^n moves digit n to
// the top, where a last factor of 3 carries it out.
#pragma once

#include <cstdint>

namespace tern::codecs {

inline constexpr unsigned kPowersOf3[5] = {1, 3, 9, 27, 81};

/// Digit n, 0 = most significant. Always 0..2, whatever the byte.
constexpr uint8_t Base3Digit(unsigned byte, int n) {
  return static_cast<uint8_t>((byte * kPowersOf3[n] & 255u) * 3u >> 8);
}

/// The byte of a value 0..242.
constexpr uint8_t Base3Byte(unsigned value) {
  return static_cast<uint8_t>((value * 256u + 242u) / 243u);
}

}  // namespace tern::codecs
