// Text from files inside one-line messages.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tern {

/// The text with control characters and quotes written as \xNN, cut after max_bytes with "..." so
/// that no file can break a message into lines or flood it. Other bytes, UTF-8 or not, stay.
std::string Printable(std::string_view text, size_t max_bytes = 64);

/// The first `count` bytes as hexadecimal pairs, for "found ..., expected ..." about magic numbers.
std::string HexBytes(std::string_view bytes, size_t count);

}  // namespace tern
