// Little-endian loads and stores at any alignment. Every format that tern reads is little-endian.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace tern {

static_assert(std::endian::native == std::endian::little,
              "tern supports little-endian machines only");

template <class T>
requires std::is_trivially_copyable_v<T> T LoadLe(const void* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

template <class T>
requires std::is_trivially_copyable_v<T>
void StoreLe(void* p, T value) { std::memcpy(p, &value, sizeof value); }

}  // namespace tern
