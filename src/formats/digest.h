// A checksum that is as fast as memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace tern {

/// XXH3 with 64 bits. Finds damage, not malice.
uint64_t Digest(std::span<const std::byte> bytes);
uint64_t Digest(std::string_view text);

}  // namespace tern
