// What the fuzz targets of grammars do with one that compiled.
#pragma once

#include <cstdlib>
#include <string>

#include "support/grammar_vocabulary.h"

namespace tern::test {

/// A random walk of some tokens; aborts when a mask allows what the matcher refuses. Returns the
/// text if it came to be complete, else "".
inline std::string WalkOrRequireMessage(const Result<std::shared_ptr<const Grammar>>& grammar,
                                        uint64_t seed) {
  static const GrammarVocabulary vocabulary({"{\"", "\":", "\",", "true", "null", "\"}", "]}"});
  if (!grammar) {
    if (grammar.error().message.empty()) std::abort();
    return "";
  }
  GrammarMatcher matcher(*grammar, vocabulary.trie);
  Rng rng(seed);
  std::string text;
  std::vector<uint64_t> bits;
  for (int step = 0; step < 24 && !matcher.Finished(); ++step) {
    matcher.Allowed(bits);
    std::vector<TokenId> ids;
    for (size_t id = 0; id < vocabulary.pieces.size(); ++id)
      if ((bits[id / 64] >> (id % 64) & 1) != 0 && static_cast<TokenId>(id) != vocabulary.end)
        ids.push_back(static_cast<TokenId>(id));
    if (ids.empty()) break;
    const TokenId id = ids[rng.Next() % ids.size()];
    if (!matcher.Accept(id)) std::abort();
    text += vocabulary.pieces[static_cast<size_t>(id)];
  }
  return matcher.CanEnd() ? text : "";
}

}  // namespace tern::test
