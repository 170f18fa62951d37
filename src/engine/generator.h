// One sequence: prompt in, tokens and text out.
#pragma once

#include <atomic>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/generation.h"
#include "engine/grammar_constraint.h"
#include "model/executor.h"
#include "tokenizer/tokenizer.h"

namespace tern {

/// Text as it becomes certain: whole characters, nothing that may still belong to a stop string.
/// Returning false cancels.
using TextCallback = std::function<bool(std::string_view)>;

/// Keeps the sequence's cache between calls: a prompt that begins like the last one is only
/// extended (chat). Thread rule: one caller at a time; `cancel` may be set from anywhere.
class Generator {
 public:
  /// vocab: rows of the logits. context: positions of the sequence, which takes the cache's first
  /// blocks. All references must outlive the generator.
  Generator(Executor& executor, KvCache& cache, const Tokenizer& tokenizer, int64_t vocab,
            int64_t context)
      : executor_(executor),
        cache_(cache),
        tokenizer_(tokenizer),
        vocab_(vocab),
        context_(context),
        table_(IdentityTable(context)),
        constrain_(MakeGrammarConstraints(tokenizer)) {}

  /// Errors: kInvalidArgument for an empty prompt, one longer than the context, an id outside the
  /// vocabulary, illegal sampling parameters.
  Result<GenerationResult> Generate(std::span<const TokenId> prompt,
                                    const GenerationOptions& options, const TextCallback& on_text,
                                    const std::atomic<bool>* cancel = nullptr);

 private:
  Status CheckPrompt(std::span<const TokenId> prompt) const;
  /// Runs ids at the end of the sequence; returns logits of the last (vocab).
  Result<LogitRow> Extend(std::span<const TokenId> ids, const std::atomic<bool>* cancel);

  Executor& executor_;
  KvCache& cache_;
  const Tokenizer& tokenizer_;
  int64_t vocab_;
  int64_t context_;
  std::vector<BlockId> table_;
  ConstraintMaker constrain_;
  std::vector<TokenId> sequence_;  // tokens whose keys and values are in the cache
};

}  // namespace tern
