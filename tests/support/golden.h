// Golden vectors: bytes made by other projects' own routines (tests/data/golden).
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "support/shared_data.h"

namespace tern::test {

inline std::vector<std::byte> Bytes(std::string_view text) {
  const auto* first = reinterpret_cast<const std::byte*>(text.data());
  return {first, first + text.size()};
}

inline std::vector<std::byte> GoldenBytes(const std::string& file) {
  const std::string text = ReadFile(std::filesystem::path(TERN_TEST_DATA) / "golden" / file);
  EXPECT_FALSE(text.empty()) << "missing test data: golden/" << file;
  return Bytes(text);
}

inline std::vector<float> GoldenFloats(const std::string& file) {
  const std::vector<std::byte> bytes = GoldenBytes(file);
  std::vector<float> values(bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

/// Bit patterns, so that NaN equals itself and -0 differs from 0.
inline std::vector<uint32_t> Bits(std::span<const float> values) {
  std::vector<uint32_t> bits;
  for (const float v : values) bits.push_back(std::bit_cast<uint32_t>(v));
  return bits;
}

/// Bytes written as hexadecimal digits; blanks are ignored.
inline std::vector<std::byte> Hex(std::string_view text) {
  std::vector<std::byte> bytes;
  std::string pair;
  for (const char c : text) {
    if (c == ' ') continue;
    pair += c;
    if (pair.size() < 2) continue;
    bytes.push_back(static_cast<std::byte>(std::stoi(pair, nullptr, 16)));
    pair.clear();
  }
  return bytes;
}

}  // namespace tern::test
