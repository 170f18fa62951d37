// UTF-8 as the tokenizer needs it: nothing is lost, and what is not well-formed is told apart from
// what is cut short.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tern {

enum class Utf8Kind : uint8_t {
  kCharacter,   // a well-formed sequence
  kInvalid,     // no continuation can make these bytes well-formed
  kIncomplete,  // the text ends inside what may become a well-formed sequence
};

/// What stands at the beginning of a text.
struct Utf8Step {
  Utf8Kind kind = Utf8Kind::kInvalid;
  /// kCharacter: bytes of the sequence. kInvalid: bytes that one U+FFFD replaces (the maximal
  /// subpart of the Unicode standard, section 3.9). kIncomplete: all remaining bytes.
  size_t length = 0;
  char32_t code_point = 0;  // kCharacter only
};

/// text must not be empty. Surrogates, overlong forms and values above U+10FFFF are invalid.
Utf8Step NextUtf8(std::string_view text);

/// Length of the longest prefix that is well-formed UTF-8.
size_t ValidUtf8Prefix(std::string_view text);

/// code_point must be a Unicode scalar value.
void AppendUtf8(char32_t code_point, std::string& out);

}  // namespace tern
