// The inside of a quoted string in a template.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tern::jinja {

/// Python's escapes: \n, \t, \\, \', \", \xHH, \uHHHH, \UHHHHHHHH, octal ones, a line break that
/// vanishes; another backslash stays. Nothing for a code point that UTF-8 has not, and for \N{...}.
std::optional<std::string> Unescaped(std::string_view literal);

}  // namespace tern::jinja
