#include "grammar/grammar.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <mutex>

#include "base/check.h"
#include "grammar/gbnf.h"
#include "grammar/json_schema.h"
#include "grammar/mask_cache.h"
#include "grammar/program.h"
#include "grammar/rule_set.h"
#include "grammar/trie.h"

namespace tern {

struct Grammar::Shared {
  std::mutex mutex;
  std::shared_ptr<grammar::MaskCache> cache;
};

Grammar::Grammar(std::shared_ptr<const grammar::Program> program)
    : program_(std::move(program)), shared_(std::make_unique<Shared>()) {}

Grammar::~Grammar() = default;

Result<std::shared_ptr<const Grammar>> Grammar::Compile(const grammar::RuleSet& rules) {
  TERN_ASSIGN_OR_RETURN(grammar::Program program, grammar::Compile(rules));
  return std::shared_ptr<const Grammar>(
      new Grammar(std::make_shared<const grammar::Program>(std::move(program))));
}

Result<std::shared_ptr<const Grammar>> Grammar::FromGbnf(std::string_view text) {
  grammar::RuleSet rules;
  TERN_TRY(grammar::ParseGbnf(text, rules));
  return Compile(rules);
}

Result<std::shared_ptr<const Grammar>> Grammar::FromJsonSchema(std::string_view schema) {
  grammar::RuleSet rules;
  TERN_TRY(grammar::ParseJsonSchema(schema, rules));
  return Compile(rules);
}

std::shared_ptr<const Grammar> Grammar::AnyJsonObject() {
  static const std::shared_ptr<const Grammar> grammar = [] {
    auto made = FromJsonSchema(R"({"type": "object"})");
    TERN_CHECK(made.has_value());
    return *made;
  }();
  return grammar;
}

std::shared_ptr<grammar::MaskCache> Grammar::CacheFor(std::shared_ptr<const TokenTrie> trie) const {
  const std::lock_guard lock(shared_->mutex);
  if (!shared_->cache || shared_->cache->trie() != trie.get())
    shared_->cache = std::make_shared<grammar::MaskCache>(program_, std::move(trie));
  return shared_->cache;
}

GrammarMatcher::GrammarMatcher(std::shared_ptr<const Grammar> grammar,
                               std::shared_ptr<const TokenTrie> trie)
    : grammar_(std::move(grammar)), trie_(std::move(trie)), cache_(grammar_->CacheFor(trie_)) {
  cache_->Start(stacks_);
}

bool GrammarMatcher::Allows(TokenId id) const {
  if (trie_->trie().IsEnd(id)) return CanEnd();
  const std::string_view piece = trie_->Piece(id);
  return !ended_ && !piece.empty() && cache_->Follows(stacks_, piece);
}

void GrammarMatcher::Allowed(std::vector<uint64_t>& bits) const {
  if (ended_) {
    bits.assign((trie_->vocab() + 63) / 64, 0);
  } else {
    bits = *cache_->Mask(stacks_);
  }
  if (!CanEnd()) return;
  for (const TokenId id : trie_->ends())
    bits[static_cast<size_t>(id) / 64] |= uint64_t{1} << (static_cast<size_t>(id) % 64);
}

size_t GrammarMatcher::Mask(std::span<float> logits) const {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  std::vector<uint64_t> bits;
  Allowed(bits);
  size_t left = 0;
  for (size_t begin = 0; begin < logits.size(); begin += 64) {
    const size_t count = std::min<size_t>(64, logits.size() - begin);
    const uint64_t inside = count == 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
    const uint64_t word = begin / 64 < bits.size() ? bits[begin / 64] & inside : 0;
    left += static_cast<size_t>(std::popcount(word));
    if (word == 0) {
      std::fill_n(logits.begin() + static_cast<ptrdiff_t>(begin), count, kNever);
      continue;
    }
    for (uint64_t never = ~word & inside; never != 0; never &= never - 1)
      logits[begin + static_cast<size_t>(std::countr_zero(never))] = kNever;
  }
  return left;
}

bool GrammarMatcher::Accept(TokenId id) {
  if (trie_->trie().IsEnd(id)) {
    if (!CanEnd()) return false;
    ended_ = true;
    return true;
  }
  const std::string_view piece = trie_->Piece(id);
  return !piece.empty() && AcceptBytes(piece);
}

bool GrammarMatcher::AcceptBytes(std::string_view bytes) {
  return !ended_ && cache_->Advance(stacks_, bytes);
}

bool GrammarMatcher::CanEnd() const { return !ended_ && !stacks_.empty() && stacks_[0] == 0; }

bool GrammarMatcher::Finished() const { return ended_ || (stacks_.size() == 1 && CanEnd()); }

}  // namespace tern
