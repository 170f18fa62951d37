// What is asked of an answer, and what became of it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/sampler.h"

namespace tern {

class Grammar;

struct GenerationOptions {
  int64_t max_tokens = 128;
  SamplingParams sampling = {};
  std::vector<std::string> stop = {};  // text that ends the answer and is not part of it
  bool ignore_eos = false;
  bool special = false;    // spell control tokens in the text
  int64_t min_tokens = 0;  // before so many no token that ends the text is drawn
  int top_logprobs = -1;   // -1: no logprobs; else those of the token and of as many others
  LogitBias logit_bias = {};
  std::shared_ptr<const Grammar> grammar = {};  // the text is of it; null: any text
};

/// kInvalidArgument naming the option, what was found and what is allowed. vocab: token ids.
Status CheckGeneration(const GenerationOptions& options, int64_t vocab);

enum class FinishReason : uint8_t {
  kEndOfText,  // the model said so
  kStopString,
  kLength,   // max_tokens reached
  kContext,  // the context is full
  kCancelled,
  kDeadline,
};

std::string_view FinishReasonName(FinishReason reason);

struct GenerationStats {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  // of the prompt, already in the cache
  int64_t generated_tokens = 0;
  int64_t drafted_tokens = 0;   // guessed ahead
  int64_t accepted_tokens = 0;  // of them, right
  double queue_seconds = 0;     // until the prompt was begun
  double prefill_seconds = 0;   // of prompt_tokens - cached_tokens
  double decode_seconds = 0;    // of the forward passes after the prompt's

  double PrefillRate() const;  // tokens per second; 0 when nothing was measured
  double DecodeRate() const;
};

struct GenerationResult {
  std::string text;
  std::vector<TokenId> ids;  // without the token that ended the text
  FinishReason finish = FinishReason::kLength;
  GenerationStats stats;
};

}  // namespace tern
