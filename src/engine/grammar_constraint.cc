#include "engine/grammar_constraint.h"

#include <mutex>
#include <utility>

#include "grammar/grammar.h"

namespace tern {
namespace {

class GrammarConstraint final : public Constraint {
 public:
  explicit GrammarConstraint(GrammarMatcher matcher) : matcher_(std::move(matcher)) {}

  bool Allows(TokenId id) const override { return matcher_.Allows(id); }
  void Mask(std::span<float> logits) const override { matcher_.Mask(logits); }
  bool Accept(TokenId id) override { return matcher_.Accept(id); }
  bool Finished() const override { return matcher_.Finished(); }

 private:
  GrammarMatcher matcher_;
};

struct LazyTrie {
  std::mutex mutex;
  std::shared_ptr<const TokenTrie> trie;
};

}  // namespace

ConstraintMaker MakeGrammarConstraints(const Tokenizer& tokenizer) {
  auto lazy = std::make_shared<LazyTrie>();
  return [&tokenizer, lazy](std::shared_ptr<const Grammar> grammar) {
    const std::lock_guard lock(lazy->mutex);
    if (!lazy->trie) lazy->trie = TokenTrie::Create(tokenizer);
    return std::make_unique<GrammarConstraint>(GrammarMatcher(std::move(grammar), lazy->trie));
  };
}

}  // namespace tern
