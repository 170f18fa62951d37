// The outline of a text that may be JSON, before memory and time are spent on parsing it.
#pragma once

#include <cstddef>
#include <string_view>

namespace tern {

/// Calls mark(character, offset) for each brace, bracket and colon outside strings, in order, as
/// long as it returns true.
template <class Mark>
void ForEachJsonMark(std::string_view text, Mark mark) {
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"')
      in_string = !in_string;
    else if (in_string)
      i += c == '\\' ? 1 : 0;
    else if ((c == '{' || c == '[' || c == '}' || c == ']' || c == ':') && !mark(c, i))
      return;
  }
}

}  // namespace tern
