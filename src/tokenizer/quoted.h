// Text from files inside one-line messages.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace tern {

/// The text in quotes with escapes, cut after max_bytes, so that no file can break a message into
/// lines or flood it.
inline std::string Quoted(std::string_view text, size_t max_bytes = 64) {
  return fmt::format("{:?}{}", text.substr(0, max_bytes), text.size() > max_bytes ? "..." : "");
}

}  // namespace tern
