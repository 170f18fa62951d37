#include "tokenizer/special_tokens.h"

#include <algorithm>
#include <cstdint>
#include <functional>

namespace tern {

void SpecialTokens::Add(std::string_view spelling, TokenId id) {
  if (spelling.empty() || !ids_.emplace(spelling, id).second) return;
  std::vector<size_t>& lengths = lengths_[static_cast<uint8_t>(spelling[0])];
  const auto at =
      std::lower_bound(lengths.begin(), lengths.end(), spelling.size(), std::greater<>());
  if (at == lengths.end() || *at != spelling.size()) lengths.insert(at, spelling.size());
}

std::optional<TextFragment> SpecialTokens::MatchAt(std::string_view text, size_t at) const {
  for (const size_t length : lengths_[static_cast<uint8_t>(text[at])]) {
    if (length > text.size() - at) continue;
    const std::string_view candidate = text.substr(at, length);
    if (const auto found = ids_.find(candidate); found != ids_.end())
      return TextFragment{candidate, found->second};
  }
  return std::nullopt;
}

std::vector<TextFragment> SpecialTokens::Split(std::string_view text) const {
  std::vector<TextFragment> out;
  size_t plain = 0;
  size_t at = 0;
  while (at < text.size()) {
    const std::optional<TextFragment> match = MatchAt(text, at);
    if (!match) {
      ++at;
      continue;
    }
    if (plain < at) out.push_back({text.substr(plain, at - plain), std::nullopt});
    out.push_back(*match);
    at += match->text.size();
    plain = at;
  }
  if (plain < text.size()) out.push_back({text.substr(plain), std::nullopt});
  return out;
}

}  // namespace tern
