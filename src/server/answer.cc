#include "server/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tern {
namespace {

// JSON has no infinity; OpenAI writes this for a token that could not be.
constexpr float kImpossible = -9999.0f;

}  // namespace

Json UsageJson(const TokenUsage& usage) {
  return {{"prompt_tokens", usage.prompt},
          {"completion_tokens", usage.generated},
          {"total_tokens", usage.prompt + usage.generated},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached}}}};
}

Json TimingsJson(const GenerationStats& stats) {
  const auto per_token_ms = [](double seconds, int64_t tokens) {
    return tokens == 0 ? 0.0 : seconds * 1e3 / static_cast<double>(tokens);
  };
  const int64_t prompt = stats.prompt_tokens - stats.cached_tokens;
  // The first token comes with the prompt's pass, so decoding made one less.
  const int64_t predicted = stats.generated_tokens;
  const int64_t decoded = std::max<int64_t>(0, predicted - 1);
  Json json = {{"cache_n", stats.cached_tokens},
               {"prompt_n", prompt},
               {"prompt_ms", stats.prefill_seconds * 1e3},
               {"prompt_per_token_ms", per_token_ms(stats.prefill_seconds, prompt)},
               {"prompt_per_second", stats.PrefillRate()},
               {"predicted_n", predicted},
               {"predicted_ms", stats.decode_seconds * 1e3},
               {"predicted_per_token_ms", per_token_ms(stats.decode_seconds, decoded)},
               {"predicted_per_second", stats.DecodeRate()}};
  if (stats.drafted_tokens > 0) {
    json["draft_n"] = stats.drafted_tokens;
    json["draft_n_accepted"] = stats.accepted_tokens;
  }
  return json;
}

const char* FinishReasonJson(FinishReason reason) {
  const bool ended = reason == FinishReason::kEndOfText || reason == FinishReason::kStopString;
  return ended ? "stop" : "length";
}

Json LogprobJson(const Tokenizer& tokenizer, TokenId id, float logprob) {
  const std::string piece = tokenizer.Piece(id, true);
  Json bytes = Json::array();
  for (const char c : piece) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", piece},
          {"logprob", std::isfinite(logprob) ? logprob : kImpossible},
          {"bytes", std::move(bytes)}};
}

Json LogprobJson(const Tokenizer& tokenizer, const TokenEvent& event) {
  Json json = LogprobJson(tokenizer, event.id, event.logprob);
  Json top = Json::array();
  for (const TokenLogprob& other : event.top)
    top.push_back(LogprobJson(tokenizer, other.id, other.logprob));
  json["top_logprobs"] = std::move(top);
  return json;
}

Json ToolCallJson(const ToolCall& call, const std::string& id, int index) {
  Json json = Json::object();
  if (index >= 0) json["index"] = index;
  json["id"] = id;
  json["type"] = "function";
  json["function"] = {{"name", call.name}, {"arguments", call.arguments}};
  return json;
}

std::string SseEvent(std::string_view data) { return fmt::format("data: {}\n\n", data); }

std::string SseEvent(std::string_view name, std::string_view data) {
  return fmt::format("event: {}\ndata: {}\n\n", name, data);
}

}  // namespace tern
