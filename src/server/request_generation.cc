// The fields that say how the text is made.
#include <fmt/format.h>

#include <charconv>
#include <limits>

#include "server/api_request.h"

namespace tern {
namespace {

constexpr int64_t kCompletionTokens = 16;
constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();
// Every piece of text is searched for every stop string.
constexpr size_t kMostStops = 16;
constexpr size_t kLongestStop = 256;
constexpr size_t kMostBiases = 1024;
constexpr float kLargestBias = 100;  // OpenAI's bounds

// -1: no limit but the context.
ApiStatus ReadLimit(const Json& body, const char* name, int64_t& out) {
  int64_t found = out;
  TERN_TRY_API(ReadInteger({body, name}, -1, kUnlimited, found));
  if (found == 0) return Refuse(name, "found 0, expected at least 1, or -1 for no limit");
  out = found == -1 ? kUnlimited : found;
  return {};
}

ApiStatus ReadLengths(const Json& body, ApiRequest& request) {
  GenerationOptions& generation = request.generation;
  generation.max_tokens =
      request.endpoint == Endpoint::kCompletion ? kCompletionTokens : kUnlimited;
  // Each newer name wins over the older ones.
  for (const char* name : {"n_predict", "max_tokens", "max_completion_tokens", "max_output_tokens"})
    TERN_TRY_API(ReadLimit(body, name, generation.max_tokens));
  // In llama-server's own form its own name does.
  if (request.endpoint == Endpoint::kNative)
    TERN_TRY_API(ReadLimit(body, "n_predict", generation.max_tokens));
  TERN_TRY_API(ReadInteger({body, "min_tokens"}, 0, kUnlimited, generation.min_tokens));
  return ReadBool({body, "ignore_eos"}, generation.ignore_eos);
}

// After each field the sampler is asked about all of them, so that the one at fault can be named.
ApiStatus ReadSampling(const Json& body, SamplingParams& params) {
  const auto check = [&params](const char* field) -> ApiStatus {
    const Status legal = CheckSampling(params);
    if (legal) return {};
    return tl::unexpected<ApiError>(ApiError{400, legal.error().message, field});
  };
  const std::pair<const char*, float*> numbers[] = {
      {"temperature", &params.temperature},
      {"top_p", &params.top_p},
      {"min_p", &params.min_p},
      {"repetition_penalty", &params.repeat_penalty},  // vLLM's name
      {"repeat_penalty", &params.repeat_penalty},
      {"presence_penalty", &params.presence_penalty},
      {"frequency_penalty", &params.frequency_penalty},
  };
  for (const auto& [name, value] : numbers) {
    TERN_TRY_API(ReadFloat({body, name}, *value));
    TERN_TRY_API(check(name));
  }
  const std::pair<const char*, int*> integers[] = {
      {"top_k", &params.top_k},
      {"repeat_last_n", &params.repeat_last_n},
  };
  for (const auto& [name, value] : integers) {
    int64_t number = *value;
    TERN_TRY_API(ReadInteger({body, name}, -1, std::numeric_limits<int>::max(), number));
    // -1 is vLLM's word for "off"; the sampler's is 0.
    *value = number == -1 && value == &params.top_k ? 0 : static_cast<int>(number);
    TERN_TRY_API(check(name));
  }
  return {};
}

ApiStatus AddStop(const Json& value, const std::string& field, std::vector<std::string>& out) {
  if (!value.is_string()) return WrongType(field, value, "a string");
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > kLongestStop)
    return Refuse(field,
                  fmt::format("found {} bytes, expected at most {}", text.size(), kLongestStop));
  out.push_back(text);
  return {};
}

ApiStatus ReadStops(const Json& body, std::vector<std::string>& out) {
  const Json* value = Member(body, "stop");
  if (value == nullptr) return {};
  if (value->is_string()) return AddStop(*value, "stop", out);
  if (!value->is_array()) return WrongType("stop", *value, "a string or a list of strings");
  if (value->size() > kMostStops)
    return Refuse("stop",
                  fmt::format("found {} strings, expected at most {}", value->size(), kMostStops));
  for (size_t i = 0; i < value->size(); ++i)
    TERN_TRY_API(AddStop((*value)[i], fmt::format("stop[{}]", i), out));
  return {};
}

// `false`: never, as llama-server has it.
ApiStatus AddBias(TokenId id, const Json& value, const std::string& field,
                  std::vector<std::pair<TokenId, float>>& out) {
  if (value.is_boolean() && !value.get<bool>()) {
    out.emplace_back(id, -std::numeric_limits<float>::infinity());
    return {};
  }
  if (!value.is_number()) return WrongType(field, value, "a number");
  const double bias = value.get<double>();
  if (!(bias >= -kLargestBias && bias <= kLargestBias))
    return Refuse(field, fmt::format("found {}, expected -100 to 100", value.dump()));
  out.emplace_back(id, static_cast<float>(bias));
  return {};
}

// OpenAI's {"ID": bias}, or llama-server's [[ID, bias]].
ApiStatus ReadBiases(const Json& body, std::vector<std::pair<TokenId, float>>& out) {
  const Json* value = Member(body, "logit_bias");
  if (value == nullptr) return {};
  if (!value->is_object() && !value->is_array())
    return WrongType("logit_bias", *value, "an object of token ids and numbers");
  if (value->size() > kMostBiases)
    return Refuse("logit_bias",
                  fmt::format("found {} biases, expected at most {}", value->size(), kMostBiases));
  if (value->is_array()) {
    for (size_t i = 0; i < value->size(); ++i) {
      const Json& pair = (*value)[i];
      const std::string field = fmt::format("logit_bias[{}]", i);
      if (!pair.is_array() || pair.size() != 2) return WrongType(field, pair, "a pair [ID, bias]");
      std::vector<TokenId> ids;
      TERN_TRY_API(ReadIds(Json::array({pair[0]}), field, ids));
      TERN_TRY_API(AddBias(ids[0], pair[1], field, out));
    }
    return {};
  }
  for (const auto& [key, bias] : value->items()) {
    TokenId id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0)
      return Refuse("logit_bias", fmt::format("found the key {}, expected a token id",
                                              Dump(Json(key.substr(0, 40)))));
    TERN_TRY_API(AddBias(id, bias, "logit_bias." + key, out));
  }
  return {};
}

}  // namespace

ApiStatus ReadGeneration(const Json& body, ApiRequest& request) {
  TERN_TRY_API(ReadLengths(body, request));
  TERN_TRY_API(ReadSampling(body, request.generation.sampling));
  TERN_TRY_API(ReadStops(body, request.generation.stop));
  return ReadBiases(body, request.generation.logit_bias);
}

}  // namespace tern
