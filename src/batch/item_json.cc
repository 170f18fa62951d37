#include "batch/item_json.h"

#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "formats/hf_json.h"

namespace tern {
namespace {

using Json = nlohmann::json;

// Every piece of text is searched for every stop string.
constexpr size_t kMostStops = 16;

tl::unexpected<Error> Wrong(const std::string& where, const Json& found, const char* expected) {
  return Fail(Code::kCorrupt, "{}: found {}, expected {}", where, found.type_name(), expected);
}

Status ReadId(const JsonFields& fields, BatchItem& item) {
  const Json* id = fields.Find("id");
  if (id == nullptr) return {};
  if (!id->is_string() && !id->is_number_integer())
    return Wrong(fields.Where("id"), *id, "a string or an integer");
  item.id = id->is_string() ? id->get<std::string>() : id->dump();
  return {};
}

Status ReadStops(const JsonFields& fields, std::vector<std::string>& stops) {
  const Json* stop = fields.Find("stop");
  if (stop == nullptr) return {};
  const std::string where = fields.Where("stop");
  const Json list = stop->is_array() ? *stop : Json::array({*stop});
  if (list.size() > kMostStops)
    return Fail(Code::kCorrupt, "{}: found {} strings, expected at most {}", where, list.size(),
                kMostStops);
  stops.clear();
  for (const Json& text : list) {
    if (!text.is_string()) return Wrong(where, text, "a string or a list of strings");
    stops.push_back(text.get<std::string>());
  }
  return {};
}

Status ReadMessages(const Json& list, const std::string& where, BatchItem& item) {
  if (!list.is_array() || list.empty())
    return Fail(Code::kCorrupt, "{}: messages: found {}, expected a list of messages", where,
                list.is_array() ? "an empty one" : list.type_name());
  for (size_t i = 0; i < list.size(); ++i) {
    TERN_ASSIGN_OR_RETURN(const JsonFields message,
                          JsonFields::Of(list[i], where, fmt::format("messages[{}].", i)));
    ChatMessage& added = item.messages.emplace_back();
    TERN_ASSIGN_OR_RETURN(added.role, message.String("role"));
    TERN_ASSIGN_OR_RETURN(added.content, message.String("content"));
  }
  return {};
}

Status ReadFloat(const JsonFields& fields, const char* name, float& value) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  TERN_ASSIGN_OR_RETURN(const double read,
                        fields.FloatOr(name, -kLargest, kLargest, static_cast<double>(value)));
  value = static_cast<float>(read);
  return {};
}

Status ReadInt(const JsonFields& fields, const char* name, int& value) {
  TERN_ASSIGN_OR_RETURN(const int64_t read,
                        fields.IntOr(name, 0, std::numeric_limits<int>::max(), value));
  value = static_cast<int>(read);
  return {};
}

Status ReadSampling(const JsonFields& fields, SamplingParams& params) {
  TERN_TRY(ReadFloat(fields, "temperature", params.temperature));
  TERN_TRY(ReadFloat(fields, "top_p", params.top_p));
  TERN_TRY(ReadFloat(fields, "min_p", params.min_p));
  TERN_TRY(ReadFloat(fields, "repeat_penalty", params.repeat_penalty));
  TERN_TRY(ReadFloat(fields, "presence_penalty", params.presence_penalty));
  TERN_TRY(ReadFloat(fields, "frequency_penalty", params.frequency_penalty));
  TERN_TRY(ReadInt(fields, "top_k", params.top_k));
  TERN_TRY(ReadInt(fields, "repeat_last_n", params.repeat_last_n));
  TERN_ASSIGN_OR_RETURN(const int64_t seed,
                        fields.IntOr("seed", 0, std::numeric_limits<int64_t>::max(), -1));
  if (seed >= 0) params.seed = static_cast<uint64_t>(seed);
  return {};
}

// OpenAI's {"ID": bias}; false: never, as llama-server has it.
Status ReadBiases(const JsonFields& fields, LogitBias& biases) {
  constexpr double kLargest = 100;  // OpenAI's bound
  const Json* list = fields.Find("logit_bias");
  if (list == nullptr) return {};
  const std::string where = fields.Where("logit_bias");
  if (!list->is_object()) return Wrong(where, *list, "an object of token ids and numbers");
  biases.clear();
  for (const auto& [key, bias] : list->items()) {
    TokenId id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size())
      return Fail(Code::kCorrupt, "{}: found the key {}, expected a token id", where,
                  Json(key.substr(0, 40)).dump());
    const bool never = bias.is_boolean() && !bias.get<bool>();
    const double value = bias.is_number() ? bias.get<double>() : 0;
    if ((!bias.is_number() && !never) || value < -kLargest || value > kLargest)
      return Fail(Code::kCorrupt, "{}.{}: found {}, expected -100 to 100, or false", where, key,
                  bias.is_number() ? bias.dump() : bias.type_name());
    biases.emplace_back(
        id, never ? -std::numeric_limits<float>::infinity() : static_cast<float>(value));
  }
  return {};
}

// `line`: the document of the fields, for what hangs on the order of members.
Status ReadGrammar(const JsonFields& fields, std::string_view line, LastGrammar& last,
                   GenerationOptions& options) {
  const bool gbnf = fields.Has("grammar"), schema = fields.Has("json_schema");
  if (!gbnf && !schema) return {};
  const std::string where = fields.Where(gbnf ? "grammar" : "json_schema");
  if (gbnf && schema)
    return Fail(Code::kCorrupt, "{}: there is json_schema too, expected one of them", where);
  std::string text;
  if (gbnf) {
    TERN_ASSIGN_OR_RETURN(text, fields.String("grammar"));
  } else {
    text = nlohmann::ordered_json::parse(line)["json_schema"].dump();
  }
  if (!last.grammar || last.text != text) {
    auto grammar = gbnf ? Grammar::FromGbnf(text) : Grammar::FromJsonSchema(text);
    if (!grammar) return Within(where, grammar.error());
    last = {std::move(text), *std::move(grammar)};
  }
  options.grammar = last.grammar;
  return {};
}

Status ReadOptions(const JsonFields& fields, GenerationOptions& options) {
  TERN_ASSIGN_OR_RETURN(options.max_tokens,
                        fields.IntOr("max_tokens", 1, int64_t{1} << 30, options.max_tokens));
  TERN_ASSIGN_OR_RETURN(options.min_tokens,
                        fields.IntOr("min_tokens", 0, int64_t{1} << 30, options.min_tokens));
  TERN_ASSIGN_OR_RETURN(options.ignore_eos, fields.BoolOr("ignore_eos", options.ignore_eos));
  TERN_TRY(ReadSampling(fields, options.sampling));
  TERN_TRY(ReadBiases(fields, options.logit_bias));
  return ReadStops(fields, options.stop);
}

}  // namespace

Status ParseItem(std::string_view line, const std::string& where, LastGrammar& last,
                 BatchItem& item) {
  TERN_ASSIGN_OR_RETURN(const Json json, ParseJson(line, where));
  TERN_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(json, where, ""));
  TERN_TRY(ReadId(fields, item));
  const Json* messages = fields.Find("messages");
  if (messages != nullptr && fields.Has("prompt"))
    return Fail(Code::kCorrupt, "{}: found prompt and messages, expected one of them", where);
  if (messages != nullptr) {
    TERN_TRY(ReadMessages(*messages, where, item));
  } else {
    TERN_ASSIGN_OR_RETURN(item.prompt, fields.String("prompt"));
  }
  TERN_TRY(ReadOptions(fields, item.options));
  TERN_TRY(ReadGrammar(fields, line, last, item.options));
  if (const Status legal = CheckSampling(item.options.sampling); !legal)
    return Within(where, legal.error());
  return {};
}

}  // namespace tern
