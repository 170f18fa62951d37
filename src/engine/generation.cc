#include "engine/generation.h"

#include <cmath>

#include "engine/logprobs.h"

namespace tern {
namespace {

double Rate(int64_t tokens, double seconds) {
  return tokens > 0 && seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

}  // namespace

Status CheckGeneration(const GenerationOptions& options, int64_t vocab) {
  TERN_TRY(CheckSampling(options.sampling));
  if (options.min_tokens < 0)
    return Fail(Code::kInvalidArgument, "min_tokens: found {}, expected 0 or more",
                options.min_tokens);
  if (options.top_logprobs < -1 || options.top_logprobs > kMaxTopLogprobs)
    return Fail(Code::kInvalidArgument, "top_logprobs: found {}, expected 0 to {}",
                options.top_logprobs, kMaxTopLogprobs);
  for (const auto& [id, bias] : options.logit_bias) {
    if (id < 0 || id >= vocab)
      return Fail(Code::kInvalidArgument, "logit_bias: token id {} is not in the vocabulary of {}",
                  id, vocab);
    if (std::isnan(bias) || bias == INFINITY)
      return Fail(Code::kInvalidArgument, "logit_bias: found {} for token {}, expected a number",
                  bias, id);
  }
  return {};
}

std::string_view FinishReasonName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEndOfText:
      return "end of text";
    case FinishReason::kStopString:
      return "stop string";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kContext:
      return "context full";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kDeadline:
      return "deadline";
  }
  return "unknown";
}

double GenerationStats::PrefillRate() const {
  return Rate(prompt_tokens - cached_tokens, prefill_seconds);
}

// The first token comes with the prompt's pass.
double GenerationStats::DecodeRate() const { return Rate(generated_tokens - 1, decode_seconds); }

}  // namespace tern
