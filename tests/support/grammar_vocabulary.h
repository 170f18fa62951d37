// A small vocabulary for grammars: every byte, and pieces as tokenizers have them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "grammar/grammar.h"

namespace tern::test {

/// Ids: 0..255 the bytes, then `more`, then random pieces of `letters`, last an empty one, a
/// control token (both match nothing) and the end token.
struct GrammarVocabulary {
  std::vector<std::string> pieces;
  TokenId end = 0;
  std::shared_ptr<const TokenTrie> trie;

  explicit GrammarVocabulary(const std::vector<std::string>& more = {},
                             std::string_view letters = "ab \"{}[],:1\\n\xc3\xa9",
                             int random = 1000) {
    for (int byte = 0; byte < 256; ++byte) pieces.emplace_back(1, static_cast<char>(byte));
    pieces.insert(pieces.end(), more.begin(), more.end());
    Rng rng(7);
    for (int i = 0; i < random; ++i) {
      std::string piece;
      for (uint64_t n = 2 + rng.Next() % 4; n > 0; --n)
        piece += letters[rng.Next() % letters.size()];
      pieces.push_back(piece);
    }
    pieces.insert(pieces.end(), {"", "", ""});
    end = static_cast<TokenId>(pieces.size() - 1);
    const TokenId ends[] = {end};
    trie = TokenTrie::Create(pieces, ends);
  }
};

/// A text as tokens, each a random one of those that fit.
inline std::vector<TokenId> RandomTokens(const GrammarVocabulary& vocabulary, std::string_view text,
                                         Rng& rng) {
  std::vector<TokenId> out;
  while (!text.empty()) {
    std::vector<TokenId> fitting;
    for (size_t id = 0; id < vocabulary.pieces.size(); ++id)
      if (!vocabulary.pieces[id].empty() && text.starts_with(vocabulary.pieces[id]))
        fitting.push_back(static_cast<TokenId>(id));
    out.push_back(fitting[rng.Next() % fitting.size()]);
    text.remove_prefix(vocabulary.pieces[static_cast<size_t>(out.back())].size());
  }
  return out;
}

}  // namespace tern::test
