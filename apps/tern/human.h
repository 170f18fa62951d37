// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace tern::cli {

/// "512 B", "6.9 MB": decimal units.
std::string HumanBytes(uint64_t bytes);
/// "4096", "11.2 M": decimal units.
std::string HumanCount(uint64_t count);

}  // namespace tern::cli
