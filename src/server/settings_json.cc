#include "server/settings_json.h"

#include <cmath>
#include <limits>

namespace tern {
namespace {

Json BiasesJson(const LogitBias& biases) {
  Json list = Json::array();
  for (const auto& [id, bias] : biases) {
    const Json value = std::isinf(bias) ? Json(false) : Json(bias);  // false: never
    list.push_back(Json::array({id, value}));
  }
  return list;
}

void AddFormat(const TextFormat& format, Json& out) {
  out["grammar"] = format.kind == TextFormat::Kind::kGbnf ? format.text : "";
  if (format.kind == TextFormat::Kind::kJsonSchema) out["json_schema"] = Json::parse(format.text);
  if (format.kind == TextFormat::Kind::kJsonObject)
    out["response_format"] = {{"type", "json_object"}};
}

}  // namespace

Json SettingsJson(const ApiRequest& request) {
  const GenerationOptions& generation = request.generation;
  const SamplingParams& sampling = generation.sampling;
  const int64_t length =
      generation.max_tokens == std::numeric_limits<int64_t>::max() ? -1 : generation.max_tokens;
  Json json = {{"n_predict", length},
               {"max_tokens", length},
               {"min_tokens", generation.min_tokens},
               {"ignore_eos", generation.ignore_eos},
               {"seed", sampling.seed},
               {"temperature", sampling.temperature},
               {"top_k", sampling.top_k},
               {"top_p", sampling.top_p},
               {"min_p", sampling.min_p},
               {"repeat_last_n", sampling.repeat_last_n},
               {"repeat_penalty", sampling.repeat_penalty},
               {"presence_penalty", sampling.presence_penalty},
               {"frequency_penalty", sampling.frequency_penalty},
               // As sampler.h orders them.
               {"samplers", {"penalties", "top_k", "top_p", "min_p", "temperature"}},
               {"stop", generation.stop},
               {"logit_bias", BiasesJson(generation.logit_bias)},
               {"n_probs", request.logprobs ? generation.top_logprobs : 0},
               {"cache_prompt", request.cache_prompt},
               {"stream", request.stream}};
  AddFormat(request.format, json);
  return json;
}

}  // namespace tern
