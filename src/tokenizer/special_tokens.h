// Tokens that are matched literally in text before anything else happens to it.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/types.h"

namespace tern {

/// A stretch of text: one special token, or plain text between them.
struct TextFragment {
  std::string_view text;
  std::optional<TokenId> token;
};

/// Thread rule: immutable once filled, safe to share.
class SpecialTokens {
 public:
  /// `spelling` must outlive this object. Empty spellings are ignored; the first of equals counts.
  void Add(std::string_view spelling, TokenId id);

  /// Fragments in order; together they are the text. Leftmost match first, the longest at its
  /// place. Plain fragments are not empty.
  std::vector<TextFragment> Split(std::string_view text) const;

 private:
  std::optional<TextFragment> MatchAt(std::string_view text, size_t at) const;

  std::unordered_map<std::string_view, TokenId> ids_;
  std::array<std::vector<size_t>, 256> lengths_;  // by first byte, longest first, no duplicates
};

}  // namespace tern
