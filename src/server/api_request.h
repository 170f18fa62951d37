// What clients of the completion endpoints ask for, as data
// (https://platform.openai.com/docs/api-reference; llama-server's names where OpenAI has none).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/generator.h"
#include "server/json_fields.h"

namespace tern {

enum class Endpoint : uint8_t {
  kCompletion,  // POST /v1/completions
  kChat,        // POST /v1/chat/completions
  kResponses,   // POST /v1/responses
  kNative,      // POST /completion, llama-server's own
};

/// One message. Templates get it as the JSON object that it is made into.
struct ApiMessage {
  std::string role;           // as the client wrote it
  std::string content;        // text parts joined
  Json tool_calls = nullptr;  // of an assistant: OpenAI's list, arguments as a string; null: none
  std::string tool_call_id = {};
  std::string name = {};
};

struct ToolChoice {
  enum class Mode : uint8_t { kAuto, kNone, kRequired, kNamed };
  Mode mode = Mode::kAuto;
  std::string name = {};  // kNamed
};

/// What the text is held to.
struct TextFormat {
  enum class Kind : uint8_t { kNone, kJsonObject, kJsonSchema, kGbnf };
  Kind kind = Kind::kNone;
  std::string text = {};   // the schema or grammar
  std::string field = {};  // where it stood, for messages
};

using Prompt = std::variant<std::string, std::vector<TokenId>>;

struct ApiRequest {
  Endpoint endpoint = Endpoint::kCompletion;
  std::vector<Prompt> prompts = {};       // kCompletion and kNative, at least one
  std::vector<ApiMessage> messages = {};  // the others, at least one
  Json tools = Json::array();             // chat form: [{"type":"function","function":{...}}]
  ToolChoice tool_choice = {};
  Json template_arguments = Json::object();  // chat_template_kwargs
  GenerationOptions generation = {};         // its seed counts only when `seed` is there
  std::optional<uint64_t> seed = {};
  TextFormat format = {};
  int n = 1;
  bool stream = false;
  bool include_usage = false;  // of a stream
  bool logprobs = false;       // generation.top_logprobs says how many
  bool echo = false;           // the prompt before the answer
  bool cache_prompt = true;
  Json metadata = Json::object();  // kResponses: given back
  std::string instructions = {};   // kResponses: given back
};

/// Never fails on what it doesn't know: unknown fields are ignored, null is as good as absent.
/// max_tokens is 16 for OpenAI's completions, as OpenAI documents, and what fits in the context for
/// the others; absent sampling fields are those of SamplingParams. Errors: status 400 naming the
/// field.
ApiResult<ApiRequest> ParseRequest(Endpoint endpoint, std::string_view body);

// Parts of it, a file each.

/// max_tokens and its other names, sampling, stop, logit_bias, format: what says how the text
/// is made.
ApiStatus ReadGeneration(const Json& body, ApiRequest& request);
ApiStatus ReadTextFormat(const Json& body, ApiRequest& request);
ApiStatus ReadMessages(const Json& body, std::vector<ApiMessage>& out);
/// A text, or a list of parts of these types with a "text" each.
ApiStatus ReadContent(const Json& value, const std::string& field, std::string& out);
/// `nested`: chat's form {"type", "function": {...}}; else that of responses, which is made into
/// chat's.
ApiStatus ReadTools(const Json& body, bool nested, ApiRequest& request);
ApiStatus ReadResponses(const Json& body, ApiRequest& request);

/// {"type":"json_schema",...} and its kin; `field` is its full name.
ApiStatus ReadFormat(const Json& format, const std::string& field, bool nested, TextFormat& out);

/// A list of token ids.
ApiStatus ReadIds(const Json& value, const std::string& field, std::vector<TokenId>& out);

}  // namespace tern
