#include "server/api_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace tern {
namespace {

constexpr int64_t kMostAnswers = 64;  // of one request, prompts times n
constexpr int64_t kMostTopLogprobs = 20;

ApiStatus AddPrompt(const Json& value, const std::string& field, std::vector<Prompt>& out) {
  if (value.is_string()) {
    out.emplace_back(value.get<std::string>());
    return {};
  }
  if (!value.is_array()) return WrongType(field, value, "a string or a list of token ids");
  std::vector<TokenId> ids;
  TERN_TRY_API(ReadIds(value, field, ids));
  out.emplace_back(std::move(ids));
  return {};
}

// A string, token ids, or a list of either.
ApiStatus ReadPrompts(const Json& body, std::vector<Prompt>& out) {
  const Json* value = Member(body, "prompt");
  if (value == nullptr) return Refuse("prompt", "missing, expected a string");
  if (!value->is_string() && !value->is_array())
    return WrongType("prompt", *value, "a string, a list of strings or of token ids");
  const bool one = value->is_string() || value->empty() || value->front().is_number();
  if (one) return AddPrompt(*value, "prompt", out);
  if (value->size() > kMostAnswers)
    return Refuse("prompt", fmt::format("found {} prompts, expected at most {}", value->size(),
                                        kMostAnswers));
  for (size_t i = 0; i < value->size(); ++i)
    TERN_TRY_API(AddPrompt((*value)[i], fmt::format("prompt[{}]", i), out));
  return {};
}

ApiStatus ReadStreaming(const Json& body, ApiRequest& request) {
  TERN_TRY_API(ReadBool({body, "stream"}, request.stream));
  const Json* options = Member(body, "stream_options");
  if (options == nullptr) return {};
  if (!options->is_object()) return WrongType("stream_options", *options, "an object");
  return ReadBool({*options, "include_usage", "stream_options.include_usage"},
                  request.include_usage);
}

ApiStatus ReadCount(const Json& body, ApiRequest& request) {
  int64_t n = 1;
  const int64_t prompts = std::max<int64_t>(1, std::ssize(request.prompts));
  TERN_TRY_API(ReadInteger({body, "n"}, 1, kMostAnswers / prompts, n));
  request.n = static_cast<int>(n);
  return {};
}

// Chat: a switch and a number; completions: a number, or the switch of chats.
ApiStatus ReadLogprobs(const Json& body, ApiRequest& request) {
  int64_t top = 0;
  const Json* value = Member(body, "logprobs");
  if (request.endpoint == Endpoint::kNative) {
    TERN_TRY_API(ReadInteger({body, "n_probs"}, 0, kMostTopLogprobs, top));
    request.logprobs = top > 0;
  } else if (request.endpoint == Endpoint::kCompletion && value != nullptr &&
             !value->is_boolean()) {
    TERN_TRY_API(ReadInteger({body, "logprobs"}, 0, kMostTopLogprobs, top));
    request.logprobs = true;
  } else {
    TERN_TRY_API(ReadBool({body, "logprobs"}, request.logprobs));
    TERN_TRY_API(ReadInteger({body, "top_logprobs"}, 0, kMostTopLogprobs, top));
  }
  if (request.logprobs) request.generation.top_logprobs = static_cast<int>(top);
  return {};
}

ApiStatus ReadSeed(const Json& body, std::optional<uint64_t>& out) {
  const Json* value = Member(body, "seed");
  if (value == nullptr) return {};
  if (!value->is_number_integer()) return WrongType("seed", *value, "an integer");
  // -1 is llama-server's word for any seed.
  if (!value->is_number_unsigned() && value->get<int64_t>() == -1) return {};
  out = value->is_number_unsigned() ? value->get<uint64_t>()
                                    : static_cast<uint64_t>(value->get<int64_t>());
  return {};
}

ApiStatus ReadChat(const Json& body, ApiRequest& request) {
  TERN_TRY_API(ReadMessages(body, request.messages));
  TERN_TRY_API(ReadTools(body, true, request));
  const Json* arguments = Member(body, "chat_template_kwargs");
  if (arguments == nullptr) return {};
  if (!arguments->is_object()) return WrongType("chat_template_kwargs", *arguments, "an object");
  request.template_arguments = *arguments;
  return {};
}

ApiStatus ReadCompletion(const Json& body, ApiRequest& request) {
  TERN_TRY_API(ReadPrompts(body, request.prompts));
  TERN_TRY_API(ReadBool({body, "echo"}, request.echo));
  int64_t best_of = 1;
  TERN_TRY_API(ReadInteger({body, "best_of"}, 1, kMostAnswers, best_of));
  int64_t n = 1;
  TERN_TRY_API(ReadInteger({body, "n"}, 1, kMostAnswers, n));
  if (best_of > n)
    return Refuse("best_of", fmt::format("found {}, expected no more than n, which is {}: all "
                                         "answers are returned",
                                         best_of, n));
  std::string suffix;
  TERN_TRY_API(ReadString({body, "suffix"}, suffix));
  if (!suffix.empty())
    return Refuse("suffix", "not supported, expected none: no model here fills in");
  return {};
}

ApiStatus ReadNative(const Json& body, ApiRequest& request) {
  TERN_TRY_API(ReadPrompts(body, request.prompts));
  // Any slot is as good as the one asked for: what it would have kept is in the prefix cache.
  int64_t slot = -1;
  return ReadInteger({body, "id_slot"}, -1, std::numeric_limits<int>::max(), slot);
}

}  // namespace

ApiStatus ReadIds(const Json& value, const std::string& field, std::vector<TokenId>& out) {
  if (!value.is_array()) return WrongType(field, value, "a list of token ids");
  out.reserve(value.size());
  for (size_t i = 0; i < value.size(); ++i) {
    const Json& id = value[i];
    const bool fits = id.is_number_integer() && id.get<int64_t>() >= 0 &&
                      id.get<int64_t>() <= std::numeric_limits<TokenId>::max() &&
                      (!id.is_number_unsigned() || id.get<uint64_t>() <= uint64_t{1} << 31);
    if (!fits) return WrongType(fmt::format("{}[{}]", field, i), id, "a token id");
    out.push_back(id.get<TokenId>());
  }
  return {};
}

ApiResult<ApiRequest> ParseRequest(Endpoint endpoint, std::string_view body) {
  auto json = ParseBody(body);
  if (!json) return tl::unexpected(std::move(json.error()));
  ApiRequest request;
  request.endpoint = endpoint;
  switch (endpoint) {
    case Endpoint::kCompletion:
      TERN_TRY_API(ReadCompletion(*json, request));
      break;
    case Endpoint::kNative:
      TERN_TRY_API(ReadNative(*json, request));
      break;
    case Endpoint::kChat:
      TERN_TRY_API(ReadChat(*json, request));
      break;
    case Endpoint::kResponses:
      TERN_TRY_API(ReadResponses(*json, request));
      break;
  }
  if (endpoint == Endpoint::kCompletion || endpoint == Endpoint::kChat)
    TERN_TRY_API(ReadCount(*json, request));
  TERN_TRY_API(ReadGeneration(*json, request));
  TERN_TRY_API(ReadSeed(*json, request.seed));
  TERN_TRY_API(ReadLogprobs(*json, request));
  if (request.echo && request.logprobs)
    return Refuse("echo",
                  "found true, expected false with logprobs: the prompt's are not computed");
  TERN_TRY_API(ReadStreaming(*json, request));
  TERN_TRY_API(ReadBool({*json, "cache_prompt"}, request.cache_prompt));
  if (endpoint != Endpoint::kResponses) TERN_TRY_API(ReadTextFormat(*json, request));
  return request;
}

}  // namespace tern
