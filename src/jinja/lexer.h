// Template text to tokens, with Jinja's rules for white space around tags as transformers sets
// them: trim_blocks and lstrip_blocks on, one line break at the end of the template dropped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tern::jinja {

enum class TokenKind : uint8_t {
  kData,           // text outside tags
  kVariableBegin,  // {{
  kVariableEnd,    // }}
  kBlockBegin,     // {%
  kBlockEnd,       // %}
  kName,
  kString,  // unescaped
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int line = 1;
};

/// The last token is kEnd. Errors: kCorrupt for what is no template; the message begins with the
/// line.
Result<std::vector<Token>> Lex(std::string_view source);

}  // namespace tern::jinja
