// The JSON of OpenAI's completion endpoints, without any socket
// (https://platform.openai.com/docs/api-reference).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "engine/generator.h"
#include "tokenizer/chat_format.h"

namespace tern {

enum class Endpoint : uint8_t {
  kCompletion,  // POST /v1/completions
  kChat,        // POST /v1/chat/completions
};

/// What a client is told instead of an answer.
struct ApiError {
  int status = 400;  // of HTTP
  std::string message;
  std::string param = {};  // the field at fault; empty: null in JSON
  std::string code = {};   // empty: null in JSON
};

/// {"error":{"message","type","param","code"}}; the type follows from the status.
std::string RenderError(const ApiError& error);

struct ApiRequest {
  Endpoint endpoint = Endpoint::kCompletion;
  std::string prompt;                 // kCompletion
  std::vector<ChatMessage> messages;  // kChat, at least one
  GenerationOptions generation;       // its seed counts only when `seed` is there
  std::optional<uint64_t> seed;
  bool stream = false;
  bool include_usage = false;  // of a stream
};

/// Never fails on what it doesn't know: unknown fields are ignored, null is as good as absent.
/// max_tokens is 16 for completions, as OpenAI documents, and what fits in the context for chats;
/// absent sampling fields are those of SamplingParams. Errors: status 400 naming the field.
tl::expected<ApiRequest, ApiError> ParseRequest(Endpoint endpoint, std::string_view body);

/// What all objects of one answer have in common.
struct AnswerHead {
  Endpoint endpoint = Endpoint::kCompletion;
  std::string id;
  int64_t created = 0;  // seconds since 1970
  std::string model;
};

/// The whole answer as one object.
std::string RenderAnswer(const AnswerHead& head, const GenerationResult& result);

/// The objects of a stream in their order: a chat's opening, texts, the end with the finish reason
/// and timings, and the usage when it was asked for.
std::string RenderOpening(const AnswerHead& head);
std::string RenderText(const AnswerHead& head, std::string_view text);
std::string RenderEnd(const AnswerHead& head, const GenerationResult& result);
std::string RenderUsage(const AnswerHead& head, const GenerationResult& result);

/// GET /v1/models.
std::string RenderModels(std::string_view model, int64_t created);

/// One server-sent event: "data: <data>\n\n". data must have no line break, as JSON has none.
std::string SseEvent(std::string_view data);
inline constexpr std::string_view kSseDone = "[DONE]";

}  // namespace tern
