// Numbers and texts as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tern::cli {

/// "512 B", "6.9 MB": decimal units.
std::string HumanBytes(uint64_t bytes);
/// "4096", "11.2 M": decimal units.
std::string HumanCount(uint64_t count);

/// "12 s", "3 min 20 s", "2 h 5 min".
std::string HumanTime(double seconds);

/// The text with line breaks as \n, other control characters and bytes that are not UTF-8 as \xNN:
/// neither a file's name nor its content can break a message in two.
std::string OneLine(std::string_view text);

}  // namespace tern::cli
