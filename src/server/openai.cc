#include "server/openai.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "tokenizer/json_util.h"

namespace tern {
namespace {

using Json = nlohmann::json;
using OutJson = nlohmann::ordered_json;  // objects keep the order they are written in
using Parsed = tl::expected<void, ApiError>;

constexpr int64_t kCompletionTokens = 16;
constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();
// Every piece of text is searched for every stop string.
constexpr size_t kMostStops = 16;
constexpr size_t kLongestStop = 256;

tl::unexpected<ApiError> Refuse(std::string field, std::string_view problem) {
  std::string message = fmt::format("{}: {}", field, problem);
  return tl::unexpected<ApiError>(ApiError{400, std::move(message), std::move(field)});
}

tl::unexpected<ApiError> WrongType(std::string field, const Json& found,
                                   std::string_view expected) {
  return Refuse(
      std::move(field),
      fmt::format("found {}, expected {}",
                  found.is_number() ? "the number " + found.dump() : found.type_name(), expected));
}

#define TERN_TRY_PARSE(expr)                                                    \
  do {                                                                          \
    if (Parsed parsed = (expr); !parsed) return tl::unexpected(parsed.error()); \
  } while (false)

Parsed ReadBool(const Json& object, const char* name, std::string field, bool& out) {
  const Json* value = Member(object, name);
  if (value == nullptr) return {};
  if (!value->is_boolean()) return WrongType(std::move(field), *value, "true or false");
  out = value->get<bool>();
  return {};
}

Parsed ReadInteger(const Json& object, const char* name, int64_t low, int64_t high, int64_t& out) {
  const Json* value = Member(object, name);
  if (value == nullptr) return {};
  if (!value->is_number_integer()) return WrongType(name, *value, "an integer");
  const bool huge = value->is_number_unsigned() &&
                    value->get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()};
  if (huge || value->get<int64_t>() < low || value->get<int64_t>() > high)
    return Refuse(name, fmt::format("found {}, expected {} to {}", value->dump(), low, high));
  out = value->get<int64_t>();
  return {};
}

Parsed ReadFloat(const Json& object, const char* name, float& out) {
  const Json* value = Member(object, name);
  if (value == nullptr) return {};
  if (!value->is_number()) return WrongType(name, *value, "a number");
  constexpr double kLargest = std::numeric_limits<float>::max();
  out = static_cast<float>(std::clamp(value->get<double>(), -kLargest, kLargest));
  return {};
}

// After each field the sampler is asked about all of them, so that the one at fault can be named.
Parsed ReadSampling(const Json& body, SamplingParams& params) {
  const auto check = [&params](const char* field) -> Parsed {
    const Status legal = CheckSampling(params);
    if (legal) return {};
    return tl::unexpected<ApiError>(ApiError{400, legal.error().message, field});
  };
  const std::pair<const char*, float*> numbers[] = {
      {"temperature", &params.temperature},
      {"top_p", &params.top_p},
      {"min_p", &params.min_p},
      {"presence_penalty", &params.presence_penalty},
      {"frequency_penalty", &params.frequency_penalty},
  };
  for (const auto& [name, value] : numbers) {
    TERN_TRY_PARSE(ReadFloat(body, name, *value));
    TERN_TRY_PARSE(check(name));
  }
  int64_t top_k = params.top_k;
  TERN_TRY_PARSE(ReadInteger(body, "top_k", 0, std::numeric_limits<int>::max(), top_k));
  params.top_k = static_cast<int>(top_k);
  return {};
}

Parsed ReadSeed(const Json& body, std::optional<uint64_t>& out) {
  const Json* value = Member(body, "seed");
  if (value == nullptr) return {};
  if (!value->is_number_integer()) return WrongType("seed", *value, "an integer");
  out = value->is_number_unsigned() ? value->get<uint64_t>()
                                    : static_cast<uint64_t>(value->get<int64_t>());
  return {};
}

Parsed AddStop(const Json& value, const std::string& field, std::vector<std::string>& out) {
  if (!value.is_string()) return WrongType(field, value, "a string");
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > kLongestStop)
    return Refuse(field,
                  fmt::format("found {} bytes, expected at most {}", text.size(), kLongestStop));
  out.push_back(text);
  return {};
}

Parsed ReadStops(const Json& body, std::vector<std::string>& out) {
  const Json* value = Member(body, "stop");
  if (value == nullptr) return {};
  if (value->is_string()) return AddStop(*value, "stop", out);
  if (!value->is_array()) return WrongType("stop", *value, "a string or a list of strings");
  if (value->size() > kMostStops)
    return Refuse("stop",
                  fmt::format("found {} strings, expected at most {}", value->size(), kMostStops));
  for (size_t i = 0; i < value->size(); ++i)
    TERN_TRY_PARSE(AddStop((*value)[i], fmt::format("stop[{}]", i), out));
  return {};
}

Parsed ReadContent(const Json& value, const std::string& field, std::string& out) {
  if (value.is_string()) {
    out = value.get<std::string>();
    return {};
  }
  if (!value.is_array()) return WrongType(field, value, "a string or a list of parts");
  for (size_t i = 0; i < value.size(); ++i) {
    const std::string* type = StringMember(value[i], "type");
    const std::string* text = StringMember(value[i], "text");
    if (type == nullptr || *type != "text" || text == nullptr)
      return Refuse(fmt::format("{}[{}]", field, i),
                    R"(expected a part {"type": "text", "text": STRING}, the only type there is)");
    out += *text;
  }
  return {};
}

Parsed ReadMessages(const Json& body, std::vector<ChatMessage>& out) {
  const Json* value = Member(body, "messages");
  if (value == nullptr) return Refuse("messages", "missing, expected a list of messages");
  if (!value->is_array()) return WrongType("messages", *value, "a list of messages");
  if (value->empty()) return Refuse("messages", "found no message, expected at least one");
  for (size_t i = 0; i < value->size(); ++i) {
    const std::string field = fmt::format("messages[{}]", i);
    const Json& message = (*value)[i];
    if (!message.is_object()) return WrongType(field, message, "an object");
    const std::string* role = StringMember(message, "role");
    if (role == nullptr) return Refuse(field + ".role", "missing or no string, expected a string");
    const Json* content = Member(message, "content");
    if (content == nullptr) return Refuse(field + ".content", "missing, expected a text");
    ChatMessage& added = out.emplace_back(ChatMessage{*role, {}});
    TERN_TRY_PARSE(ReadContent(*content, field + ".content", added.content));
  }
  return {};
}

Parsed ReadPrompt(const Json& body, std::string& out) {
  const Json* value = Member(body, "prompt");
  if (value == nullptr) return Refuse("prompt", "missing, expected a string");
  if (!value->is_string()) return WrongType("prompt", *value, "a string");
  out = value->get<std::string>();
  return {};
}

Parsed ReadMaxTokens(const Json& body, ApiRequest& request) {
  int64_t& max_tokens = request.generation.max_tokens;
  max_tokens = request.endpoint == Endpoint::kChat ? kUnlimited : kCompletionTokens;
  TERN_TRY_PARSE(ReadInteger(body, "max_tokens", 1, kUnlimited, max_tokens));
  return ReadInteger(body, "max_completion_tokens", 1, kUnlimited, max_tokens);
}

Parsed ReadStreaming(const Json& body, ApiRequest& request) {
  TERN_TRY_PARSE(ReadBool(body, "stream", "stream", request.stream));
  const Json* options = Member(body, "stream_options");
  if (options == nullptr) return {};
  if (!options->is_object()) return WrongType("stream_options", *options, "an object");
  return ReadBool(*options, "include_usage", "stream_options.include_usage", request.include_usage);
}

// Model files and vocabularies may spell anything; JSON is UTF-8.
std::string Dump(const OutJson& value) {
  return value.dump(-1, ' ', false, OutJson::error_handler_t::replace);
}

const char* FinishReasonOf(const GenerationResult& result) {
  const bool ended =
      result.finish == FinishReason::kEndOfText || result.finish == FinishReason::kStopString;
  return ended ? "stop" : "length";
}

const char* ErrorType(int status) {
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

OutJson Head(const AnswerHead& head, bool whole) {
  const char* completion = "text_completion";
  const char* chat = whole ? "chat.completion" : "chat.completion.chunk";
  return {{"id", head.id},
          {"object", head.endpoint == Endpoint::kChat ? chat : completion},
          {"created", head.created},
          {"model", head.model}};
}

OutJson Usage(const GenerationStats& stats) {
  return {{"prompt_tokens", stats.prompt_tokens},
          {"completion_tokens", stats.generated_tokens},
          {"total_tokens", stats.prompt_tokens + stats.generated_tokens}};
}

OutJson Timings(const GenerationStats& stats) {
  return {{"prompt_per_second", stats.PrefillRate()}, {"predicted_per_second", stats.DecodeRate()}};
}

// The one choice of a stream's object; finish_reason null: the text goes on.
OutJson ChunkWith(const AnswerHead& head, OutJson delta, std::string_view text,
                  OutJson finish_reason) {
  OutJson choice;
  choice["index"] = 0;
  if (head.endpoint == Endpoint::kChat)
    choice["delta"] = std::move(delta);
  else
    choice["text"] = text;
  choice["finish_reason"] = std::move(finish_reason);
  OutJson chunk = Head(head, false);
  chunk["choices"] = OutJson::array({std::move(choice)});
  return chunk;
}

}  // namespace

std::string RenderError(const ApiError& error) {
  const auto or_null = [](const std::string& text) {
    return text.empty() ? OutJson() : OutJson(text);
  };
  OutJson body;
  body["error"] = {{"message", error.message},
                   {"type", ErrorType(error.status)},
                   {"param", or_null(error.param)},
                   {"code", or_null(error.code)}};
  return Dump(body);
}

tl::expected<ApiRequest, ApiError> ParseRequest(Endpoint endpoint, std::string_view body) {
  const Result<Json> json = ParseJson(body);
  if (!json) return tl::unexpected<ApiError>(ApiError{400, "the body: " + json.error().message});
  if (!json->is_object())
    return tl::unexpected<ApiError>(
        ApiError{400, fmt::format("the body: found {}, expected an object", json->type_name())});
  ApiRequest request;
  request.endpoint = endpoint;
  if (endpoint == Endpoint::kChat)
    TERN_TRY_PARSE(ReadMessages(*json, request.messages));
  else
    TERN_TRY_PARSE(ReadPrompt(*json, request.prompt));
  int64_t n = 1;
  TERN_TRY_PARSE(ReadInteger(*json, "n", 1, 1, n));
  TERN_TRY_PARSE(ReadMaxTokens(*json, request));
  TERN_TRY_PARSE(ReadSampling(*json, request.generation.sampling));
  TERN_TRY_PARSE(ReadSeed(*json, request.seed));
  TERN_TRY_PARSE(ReadStops(*json, request.generation.stop));
  TERN_TRY_PARSE(ReadStreaming(*json, request));
  return request;
}

std::string RenderAnswer(const AnswerHead& head, const GenerationResult& result) {
  OutJson choice;
  choice["index"] = 0;
  if (head.endpoint == Endpoint::kChat)
    choice["message"] = {{"role", "assistant"}, {"content", result.text}};
  else
    choice["text"] = result.text;
  choice["finish_reason"] = FinishReasonOf(result);
  OutJson answer = Head(head, true);
  answer["choices"] = OutJson::array({std::move(choice)});
  answer["usage"] = Usage(result.stats);
  answer["timings"] = Timings(result.stats);
  return Dump(answer);
}

std::string RenderOpening(const AnswerHead& head) {
  return Dump(ChunkWith(head, {{"role", "assistant"}, {"content", ""}}, "", nullptr));
}

std::string RenderText(const AnswerHead& head, std::string_view text) {
  return Dump(ChunkWith(head, OutJson::object({{"content", text}}), text, nullptr));
}

std::string RenderEnd(const AnswerHead& head, const GenerationResult& result) {
  OutJson chunk = ChunkWith(head, OutJson::object(), "", FinishReasonOf(result));
  chunk["timings"] = Timings(result.stats);
  return Dump(chunk);
}

std::string RenderUsage(const AnswerHead& head, const GenerationResult& result) {
  OutJson chunk = Head(head, false);
  chunk["choices"] = OutJson::array();
  chunk["usage"] = Usage(result.stats);
  return Dump(chunk);
}

std::string RenderModels(std::string_view model, int64_t created) {
  const OutJson entry = {
      {"id", model}, {"object", "model"}, {"created", created}, {"owned_by", "tern"}};
  return Dump({{"object", "list"}, {"data", OutJson::array({entry})}});
}

std::string SseEvent(std::string_view data) { return fmt::format("data: {}\n\n", data); }

}  // namespace tern
