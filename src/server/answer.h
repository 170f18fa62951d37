// From the events of an engine to the bytes that a client gets: no socket, no thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "server/api_request.h"
#include "server/tool_calls.h"

namespace tern {

/// What all objects of one answer have in common.
struct AnswerHead {
  std::string id;
  int64_t created = 0;  // seconds since 1970
  std::string model;
};

/// The choices of one answer, `n` for each prompt: choice p * n + i is answer i to prompt p.
/// Thread rule: one owner.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;

  /// Takes an event of a choice. Returns server-sent events; "" unless it is a stream.
  virtual std::string Feed(size_t choice, const Event& event) = 0;
  /// Every choice has had its last event. The rest of the stream, or the whole JSON object.
  virtual std::string Finish() = 0;
  /// The stream ends by a failure after it has begun.
  virtual std::string Break(const ApiError& error) = 0;
};

struct AnswerContext {
  AnswerHead head;
  /// The texts of the prompts, for `echo`.
  std::vector<std::string> prompts = {};
  /// Positions of a sequence, for llama-server's form.
  int64_t context = 0;
};

/// `request` and `tokenizer` must outlive it.
std::unique_ptr<AnswerWriter> NewAnswerWriter(const ApiRequest& request, AnswerContext context,
                                              const Tokenizer& tokenizer);

// Parts that every form uses.

/// {"prompt_tokens","completion_tokens","total_tokens","prompt_tokens_details"} over all choices;
/// a prompt counts once, whatever n.
struct TokenUsage {
  int64_t prompt = 0, cached = 0, generated = 0;
};
Json UsageJson(const TokenUsage& usage);

/// llama-server's object: prompt_n, prompt_ms, predicted_per_second and so on.
Json TimingsJson(const GenerationStats& stats);

/// "stop" or "length".
const char* FinishReasonJson(FinishReason reason);

/// A token for JSON: {"token","logprob","bytes"}.
Json LogprobJson(const Tokenizer& tokenizer, TokenId id, float logprob);
/// The same with "top_logprobs".
Json LogprobJson(const Tokenizer& tokenizer, const TokenEvent& event);

/// A call with an id of its own, in the form of chats. `index` < 0: without.
Json ToolCallJson(const ToolCall& call, const std::string& id, int index);

/// "data: <data>\n\n", or with "event: <name>\n" before it. data has no line break, as JSON has
/// none.
std::string SseEvent(std::string_view data);
std::string SseEvent(std::string_view name, std::string_view data);

}  // namespace tern
