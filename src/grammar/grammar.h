// Grammar-constrained decoding: which tokens may come next, so that the text is of a grammar.
//
// The program of a grammar is a set of rules, each a deterministic automaton over bytes that may
// call other rules; a matcher keeps the set of call stacks that the text so far can lead to. Bytes,
// not characters, because a token may hold a part of a character. docs/adr/0017 says why so.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace tern {

class Tokenizer;

namespace grammar {
struct Program;
class MaskCache;
struct Trie;
class RuleSet;
}  // namespace grammar

/// The tokens of a vocabulary by their bytes. Control tokens and tokens without bytes are no part
/// of it: no grammar allows them. Thread rule: immutable, safe to share.
class TokenTrie {
 public:
  /// Some 30 ms for 128k tokens: once per tokenizer.
  static std::shared_ptr<const TokenTrie> Create(const Tokenizer& tokenizer);
  /// pieces[id]: the bytes of a token, "" for one that no text has. ends: tokens that end a text.
  static std::shared_ptr<const TokenTrie> Create(std::span<const std::string> pieces,
                                                 std::span<const TokenId> ends);
  ~TokenTrie();

  size_t vocab() const;
  std::span<const TokenId> ends() const;
  /// "" for an id outside the vocabulary too.
  std::string_view Piece(TokenId id) const;
  const grammar::Trie& trie() const { return *trie_; }  // for this module

 private:
  explicit TokenTrie(std::unique_ptr<const grammar::Trie> trie);
  std::unique_ptr<const grammar::Trie> trie_;
};

/// What a text may be. Thread rule: safe to share; masks that were computed are kept in it behind a
/// mutex, so requests with the same grammar should share one object.
class Grammar {
 public:
  /// llama.cpp's GBNF: rules `name ::= ...` from `root`, alternatives, groups, "literals",
  /// [classes],
  /// `.`, the repetitions * + ? {m} {m,} {m,n}, # comments.
  /// Errors: kInvalidArgument with line and column for what is not GBNF, an unknown or missing
  /// rule, left recursion, a rule that can never end; kResourceExhausted for what is larger than
  /// grammar/limits.h allows.
  static Result<std::shared_ptr<const Grammar>> FromGbnf(std::string_view text);

  /// Documents that a JSON schema accepts, in a form that a model can't draw out without end:
  /// members in the order of the schema, at most a space or a line break with 20 blanks between
  /// tokens, numbers of bounded length. Objects that name properties have no others unless
  /// additionalProperties says so. Errors: kInvalidArgument for what is no schema, kUnsupported for
  /// a keyword that can't be held to, both with the JSON pointer; kResourceExhausted as above.
  static Result<std::shared_ptr<const Grammar>> FromJsonSchema(std::string_view schema);

  /// Any JSON object: `response_format: json_object`. The same object at each call.
  static std::shared_ptr<const Grammar> AnyJsonObject();

  ~Grammar();

 private:
  friend class GrammarMatcher;
  explicit Grammar(std::shared_ptr<const grammar::Program> program);
  static Result<std::shared_ptr<const Grammar>> Compile(const grammar::RuleSet& rules);
  /// The masks for this vocabulary, shared by all matchers of the two.
  std::shared_ptr<grammar::MaskCache> CacheFor(std::shared_ptr<const TokenTrie> trie) const;

  struct Shared;  // the cache of the vocabulary used last
  std::shared_ptr<const grammar::Program> program_;
  std::unique_ptr<Shared> shared_;
};

/// Where a text stands in a grammar. A value: a copy is some hundred bytes and goes its own way
/// (speculation). Thread rule: one thread at a time each; copies are independent.
///
/// Ambiguity is bounded: at most limits.h's kMaxStacks readings are followed. Beyond it readings
/// are dropped, so the text stays valid and only some continuations are refused; likewise nesting
/// beyond kMaxStackDepth is refused.
class GrammarMatcher {
 public:
  GrammarMatcher(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie);

  /// May this token come next? An end token: may the text end here?
  bool Allows(TokenId id) const;

  /// Sets the logits of tokens that may not come next to -infinity, end tokens included while the
  /// text is not complete; logits beyond the vocabulary (padding rows) too. Returns how many are
  /// left: 0 only where nesting has reached its bound.
  size_t Mask(std::span<float> logits) const;

  /// The same as bits: bit id % 64 of word id / 64, (vocab + 63) / 64 words. End tokens included.
  void Allowed(std::vector<uint64_t>& bits) const;

  /// Goes on by a token; false, and nothing changes, when it isn't allowed. An end token is
  /// accepted where the text may end and then nothing may follow.
  bool Accept(TokenId id);
  /// The same for text that is not a token: what was forced, or tests.
  bool AcceptBytes(std::string_view bytes);

  /// The text is complete, though more may follow.
  bool CanEnd() const;
  /// The text is complete and nothing but an end token may follow.
  bool Finished() const;

 private:
  std::shared_ptr<const Grammar> grammar_;
  std::shared_ptr<const TokenTrie> trie_;
  std::shared_ptr<grammar::MaskCache> cache_;
  /// Stacks, each as its depth and its states, top first: the state of the text.
  std::vector<uint32_t> stacks_;
  bool ended_ = false;
};

}  // namespace tern
