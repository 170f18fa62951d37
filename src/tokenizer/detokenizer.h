// Token ids to text as they arrive.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/tokenizer.h"

namespace tern {

/// Makes any bytes, in any portions, into well-formed UTF-8: a character that may still be
/// completed is held back, each maximal invalid subpart becomes one U+FFFD (Unicode standard,
/// section 3.9). Thread rule: one owner.
class Utf8Assembler {
 public:
  /// Whole characters that are certain now.
  std::string Feed(std::string_view bytes);
  /// What was held back, as U+FFFD; the assembler is as new afterwards.
  std::string Finish();

 private:
  std::string held_;  // at most 3 bytes: the beginning of a character
};

/// Thread rule: one owner; the tokenizer must outlive it.
class Detokenizer {
 public:
  /// `previous`: the token before the first one (the last of a prompt); nothing at the beginning of
  /// a text, where SentencePiece's leading space is dropped. `special`: control tokens are spelled.
  explicit Detokenizer(const Tokenizer& tokenizer, std::optional<TokenId> previous = std::nullopt,
                       bool special = false)
      : tokenizer_(tokenizer), previous_(previous), special_(special) {}

  /// Text that is certain after this token; whole characters only. All results joined are
  /// Tokenizer::Decode of the ids, with U+FFFD for what is not UTF-8.
  std::string Feed(TokenId id);
  std::string Finish() { return assembler_.Finish(); }

 private:
  const Tokenizer& tokenizer_;
  std::optional<TokenId> previous_;
  bool special_;
  Utf8Assembler assembler_;
};

}  // namespace tern
