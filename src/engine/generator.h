// One sequence: prompt in, tokens and text out.
#pragma once

#include <atomic>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/sampler.h"
#include "model/executor.h"
#include "tokenizer/tokenizer.h"

namespace tern {

struct GenerationOptions {
  int64_t max_tokens = 128;
  SamplingParams sampling = {};
  std::vector<std::string> stop = {};  // text that ends the answer and is not part of it
  bool ignore_eos = false;
  bool special = false;  // spell control tokens in the text
};

enum class FinishReason : uint8_t {
  kEndOfText,  // the model said so
  kStopString,
  kLength,   // max_tokens reached
  kContext,  // the context is full
  kCancelled,
};

std::string_view FinishReasonName(FinishReason reason);

struct GenerationStats {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  // of the prompt, already in the cache
  int64_t generated_tokens = 0;
  double prefill_seconds = 0;  // of prompt_tokens - cached_tokens
  double decode_seconds = 0;   // of the forward passes after the prompt's

  double PrefillRate() const;  // tokens per second; 0 when nothing was measured
  double DecodeRate() const;
};

struct GenerationResult {
  std::string text;
  std::vector<TokenId> ids;  // without the token that ended the text
  FinishReason finish = FinishReason::kLength;
  GenerationStats stats;
};

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
        table_(IdentityTable(context)) {}

  /// Errors: kInvalidArgument for an empty prompt, one longer than the context, an id outside the
  /// vocabulary, illegal sampling parameters.
  Result<GenerationResult> Generate(std::span<const TokenId> prompt,
                                    const GenerationOptions& options, const TextCallback& on_text,
                                    const std::atomic<bool>* cancel = nullptr);

 private:
  Status CheckPrompt(std::span<const TokenId> prompt) const;
  /// Runs ids at the end of the sequence; returns logits of the last (vocab).
  Result<std::span<const float>> Extend(std::span<const TokenId> ids,
                                        const std::atomic<bool>* cancel);

  Executor& executor_;
  KvCache& cache_;
  const Tokenizer& tokenizer_;
  int64_t vocab_;
  int64_t context_;
  std::vector<BlockId> table_;
  std::vector<TokenId> sequence_;  // tokens whose keys and values are in the cache
};

}  // namespace tern
