#include "formats/hf_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "formats/hf_json.h"
#include "formats/printable.h"

namespace tern {
namespace {

using nlohmann::json;

// Far above any model, and low enough that the product of any two sizes, times 8, fits in 64 bits.
constexpr int64_t kMaxSize = int64_t{1} << 24;
constexpr int64_t kMaxLayers = 4096;
constexpr int64_t kMaxHeads = int64_t{1} << 16;
constexpr int64_t kMaxContext = int64_t{1} << 31;
constexpr int64_t kMaxToken = INT32_MAX;
constexpr double kTiny = 1e-30;

/// What the configuration classes of transformers assume for a field that the file leaves out.
struct FamilyRow {
  HfFamily family;
  std::string_view name;
  std::string_view architecture;  // of "architectures", lower case
  std::string_view model_type;
  std::string_view activation;
  int64_t head_dim;  // 0: hidden_size / num_attention_heads
  double rope_theta;
};

constexpr std::array<FamilyRow, 3> kFamilies = {{
    {HfFamily::kBitNet, "BitNet", "bitnetforcausallm", "bitnet", "relu2", 0, 500000},
    {HfFamily::kLlama, "Llama", "llamaforcausallm", "llama", "silu", 0, 10000},
    {HfFamily::kQwen3, "Qwen3", "qwen3forcausallm", "qwen3", "silu", 128, 10000},
}};

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return 'A' <= c && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

/// "architectures" decides before "model_type": 1bitLLM's folders say BitnetForCausalLM and
/// "llama".
Result<const FamilyRow*> ReadFamily(const JsonFields& fields) {
  std::string architecture;
  if (const json* list = fields.Find("architectures")) {
    if (!list->is_array() || list->empty() || !list->front().is_string())
      return Fail(Code::kCorrupt, "{}: expected a list of strings", fields.Where("architectures"));
    architecture = list->front().get<std::string>();
  }
  TERN_ASSIGN_OR_RETURN(const std::string type, fields.StringOr("model_type", ""));
  for (const FamilyRow& row : kFamilies)
    if (architecture.empty() ? row.model_type == type : row.architecture == Lower(architecture))
      return &row;
  const std::string_view key = architecture.empty() ? "model_type" : "architectures";
  return Fail(Code::kUnsupported,
              "{}: found '{}', expected BitNetForCausalLM, LlamaForCausalLM or Qwen3ForCausalLM",
              fields.Where(key), Printable(architecture.empty() ? type : architecture));
}

Status ReadSizes(const JsonFields& fields, const FamilyRow& family, HfConfig& config) {
  TERN_ASSIGN_OR_RETURN(config.dim, fields.Int("hidden_size", 1, kMaxSize));
  TERN_ASSIGN_OR_RETURN(config.layers, fields.Int("num_hidden_layers", 1, kMaxLayers));
  TERN_ASSIGN_OR_RETURN(config.ffn, fields.Int("intermediate_size", 1, kMaxSize));
  TERN_ASSIGN_OR_RETURN(config.vocab, fields.Int("vocab_size", 1, kMaxSize));
  TERN_ASSIGN_OR_RETURN(config.context, fields.Int("max_position_embeddings", 1, kMaxContext));
  TERN_ASSIGN_OR_RETURN(config.eps, fields.Float("rms_norm_eps", kTiny, 1));
  TERN_ASSIGN_OR_RETURN(config.heads, fields.Int("num_attention_heads", 1, kMaxHeads));
  TERN_ASSIGN_OR_RETURN(config.kv_heads,
                        fields.IntOr("num_key_value_heads", 1, kMaxHeads, config.heads));
  if (config.heads % config.kv_heads != 0)
    return Fail(Code::kCorrupt, "{}: found {}, expected a divisor of the {} attention heads",
                fields.Where("num_key_value_heads"), config.kv_heads, config.heads);
  const bool derived = !fields.Has("head_dim") && family.head_dim == 0;
  if (derived && config.dim % config.heads != 0)
    return Fail(Code::kCorrupt, "{}: found {}, expected a divisor of hidden_size {}",
                fields.Where("num_attention_heads"), config.heads, config.dim);
  const int64_t head_dim = derived ? config.dim / config.heads : family.head_dim;
  TERN_ASSIGN_OR_RETURN(config.head_dim, fields.IntOr("head_dim", 1, kMaxSize, head_dim));
  if (config.head_dim % 2 != 0)
    return Fail(Code::kCorrupt, "{}: found {}, expected an even number (RoPE rotates pairs)",
                fields.Where("head_dim"), config.head_dim);
  if (config.heads * config.head_dim > kMaxSize)
    return Fail(Code::kCorrupt, "{}: {} heads of {} are more than {} in all",
                fields.Where("head_dim"), config.heads, config.head_dim, kMaxSize);
  return {};
}

/// beta_fast, beta_slow and attention_factor have no room in tern's YaRN: only their usual values
/// pass.
Status CheckYarn(const JsonFields& rope, double factor) {
  struct Fixed {
    std::string_view key;
    double value;
  };
  const std::array<Fixed, 3> fixed = {
      {{"beta_fast", 32}, {"beta_slow", 1}, {"attention_factor", 0.1 * std::log(factor) + 1}}};
  for (const Fixed& field : fixed) {
    TERN_ASSIGN_OR_RETURN(const double found, rope.FloatOr(field.key, -1e30, 1e30, field.value));
    if (std::abs(found - field.value) > 1e-6 * field.value)
      return Fail(Code::kUnsupported, "{}: found {}, only {} is supported", rope.Where(field.key),
                  found, field.value);
  }
  for (const std::string_view key : {"mscale", "mscale_all_dim"})
    if (rope.Has(key)) return Fail(Code::kUnsupported, "{}: not supported", rope.Where(key));
  return {};
}

Status ReadRopeScaling(const JsonFields& rope, int64_t context, HfRope& out) {
  // Older files write "type", newer ones "rope_type" (and sometimes both).
  const std::string_view key = rope.Has("rope_type") ? "rope_type" : "type";
  TERN_ASSIGN_OR_RETURN(const std::string type, rope.StringOr(key, "default"));
  if (type == "default") return {};
  if (type != "linear" && type != "yarn")
    return Fail(Code::kUnsupported,
                "{}: RoPE scaling '{}' is not supported, only default, linear and yarn",
                rope.Where(key), Printable(type));
  out.scaling = type;
  TERN_ASSIGN_OR_RETURN(out.factor, rope.Float("factor", kTiny, 1e6));
  if (type == "linear") return {};
  TERN_ASSIGN_OR_RETURN(out.original_context,
                        rope.IntOr("original_max_position_embeddings", 1, kMaxContext, context));
  return CheckYarn(rope, out.factor);
}

/// transformers 5 keeps everything in rope_parameters, earlier ones rope_theta beside rope_scaling.
/// Where both are present rope_parameters wins, as there.
Status ReadRope(const JsonFields& fields, const FamilyRow& family, HfConfig& config) {
  HfRope& rope = config.rope;
  TERN_ASSIGN_OR_RETURN(rope.theta, fields.FloatOr("rope_theta", 1, 1e12, family.rope_theta));
  TERN_ASSIGN_OR_RETURN(double rotary, fields.FloatOr("partial_rotary_factor", 0, 1, 1));
  const std::string_view key = fields.Has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (fields.Has(key)) {
    TERN_ASSIGN_OR_RETURN(const JsonFields object, fields.Object(key));
    TERN_ASSIGN_OR_RETURN(rope.theta, object.FloatOr("rope_theta", 1, 1e12, rope.theta));
    TERN_ASSIGN_OR_RETURN(rotary, object.FloatOr("partial_rotary_factor", 0, 1, rotary));
    TERN_TRY(ReadRopeScaling(object, config.context, rope));
  }
  if (rotary != 1)
    return Fail(Code::kUnsupported, "{}: found {}, only 1 is supported",
                fields.Where("partial_rotary_factor"), rotary);
  return {};
}

Status ReadActivation(const JsonFields& fields, const FamilyRow& family, HfConfig& config) {
  TERN_ASSIGN_OR_RETURN(config.activation,
                        fields.StringOr("hidden_act", std::string(family.activation)));
  const bool squared = config.activation == "relu2" && family.family == HfFamily::kBitNet;
  if (config.activation != "silu" && !squared)
    return Fail(Code::kUnsupported, "{}: found '{}', expected silu{}", fields.Where("hidden_act"),
                Printable(config.activation),
                family.family == HfFamily::kBitNet ? " or relu2" : "");
  return {};
}

/// Attention is full and causal; anything else would silently give other logits.
Status CheckAttention(const JsonFields& fields) {
  TERN_ASSIGN_OR_RETURN(const bool sliding, fields.BoolOr("use_sliding_window", false));
  if (sliding)
    return Fail(Code::kUnsupported, "{}: sliding windows are not supported",
                fields.Where("use_sliding_window"));
  const json* types = fields.Find("layer_types");
  if (types &&
      !(types->is_array() && std::all_of(types->begin(), types->end(), [](const json& type) {
          return type == "full_attention";
        })))
    return Fail(Code::kUnsupported, "{}: only full_attention is supported",
                fields.Where("layer_types"));
  return {};
}

Result<HfQuantization> ReadQuantization(const JsonFields& fields) {
  if (!fields.Has("quantization_config")) return HfQuantization::kNone;
  TERN_ASSIGN_OR_RETURN(const JsonFields quantization, fields.Object("quantization_config"));
  TERN_ASSIGN_OR_RETURN(const std::string method, quantization.String("quant_method"));
  if (method != "bitnet")
    return Fail(Code::kUnsupported, "{}: found '{}', only bitnet is supported",
                quantization.Where("quant_method"), Printable(method));
  TERN_ASSIGN_OR_RETURN(const bool norms, quantization.BoolOr("use_rms_norm", false));
  if (norms)
    return Fail(Code::kUnsupported, "{}: a norm in every linear layer is not supported",
                quantization.Where("use_rms_norm"));
  TERN_ASSIGN_OR_RETURN(const std::string linear,
                        quantization.StringOr("linear_class", "bitlinear"));
  if (linear == "bitlinear") return HfQuantization::kDivide;
  if (linear != "autobitlinear")
    return Fail(Code::kUnsupported, "{}: found '{}', expected bitlinear or autobitlinear",
                quantization.Where("linear_class"), Printable(linear));
  TERN_ASSIGN_OR_RETURN(const std::string mode,
                        quantization.StringOr("quantization_mode", "offline"));
  if (mode == "offline") return HfQuantization::kMultiply;
  if (mode == "online") return HfQuantization::kOnline;
  return Fail(Code::kUnsupported, "{}: found '{}', expected offline or online",
              quantization.Where("quantization_mode"), Printable(mode));
}

Result<std::optional<int64_t>> ReadToken(const JsonFields& fields, std::string_view key) {
  if (!fields.Has(key)) return std::optional<int64_t>();
  // Some files write -1 for "none".
  TERN_ASSIGN_OR_RETURN(const int64_t id, fields.Int(key, -1, kMaxToken));
  return id < 0 ? std::nullopt : std::optional<int64_t>(id);
}

Status ReadTokens(const JsonFields& fields, HfConfig& config) {
  TERN_ASSIGN_OR_RETURN(config.bos, ReadToken(fields, "bos_token_id"));
  TERN_ASSIGN_OR_RETURN(config.padding, ReadToken(fields, "pad_token_id"));
  const json* eos = fields.Find("eos_token_id");
  if (!eos || !eos->is_array()) {
    TERN_ASSIGN_OR_RETURN(config.eos, ReadToken(fields, "eos_token_id"));
    return {};
  }
  std::vector<int64_t> ids;
  for (const json& id : *eos) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > static_cast<uint64_t>(kMaxToken))
      return Fail(Code::kCorrupt, "{}: expected a token id or a list of them",
                  fields.Where("eos_token_id"));
    ids.push_back(id.get<int64_t>());
  }
  if (!ids.empty()) config.eos = ids[0];
  if (ids.size() > 1) config.eot = ids[1];
  return {};
}

}  // namespace

std::string_view Name(HfFamily family) { return kFamilies[static_cast<size_t>(family)].name; }

Result<HfConfig> ParseHfConfig(std::string_view text, const std::string& file) {
  TERN_ASSIGN_OR_RETURN(const json document, ParseJson(text, file));
  TERN_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(document, file, ""));
  HfConfig config;
  TERN_ASSIGN_OR_RETURN(const FamilyRow* family, ReadFamily(fields));
  config.family = family->family;
  TERN_TRY(ReadSizes(fields, *family, config));
  TERN_TRY(ReadRope(fields, *family, config));
  TERN_TRY(ReadActivation(fields, *family, config));
  TERN_TRY(CheckAttention(fields));
  TERN_TRY(ReadTokens(fields, config));
  TERN_ASSIGN_OR_RETURN(config.quantization, ReadQuantization(fields));
  if (fields.Has("tie_word_embeddings")) {
    TERN_ASSIGN_OR_RETURN(config.tied, fields.Bool("tie_word_embeddings"));
  }
  return config;
}

Metadata MetadataOf(const HfConfig& config, const std::string& architecture,
                    const std::string& name) {
  Metadata meta;
  meta.Set("general.architecture", architecture);
  meta.Set("general.name", name);
  const auto set = [&](std::string_view key, MetaValue value) {
    meta.Set(fmt::format("{}.{}", architecture, key), std::move(value));
  };
  set("vocab_size", config.vocab);
  set("context_length", config.context);
  set("embedding_length", config.dim);
  set("block_count", config.layers);
  set("feed_forward_length", config.ffn);
  set("attention.head_count", config.heads);
  set("attention.head_count_kv", config.kv_heads);
  set("attention.key_length", config.head_dim);
  set("attention.value_length", config.head_dim);
  set("attention.layer_norm_rms_epsilon", config.eps);
  set("rope.dimension_count", config.head_dim);
  set("rope.freq_base", config.rope.theta);
  if (!config.rope.scaling.empty()) {
    set("rope.scaling.type", config.rope.scaling);
    set("rope.scaling.factor", config.rope.factor);
  }
  if (config.rope.original_context > 0)
    set("rope.scaling.original_context_length", config.rope.original_context);
  // Upstream's key for a graph whose gate is not what its architecture implies; "bitnet" implies
  // SiLU.
  if (architecture == "bitnet" && config.activation == "relu2")
    set("hidden_activation", config.activation);

  const auto token = [&](std::string_view key, std::optional<int64_t> id) {
    if (id) meta.Set(fmt::format("tokenizer.ggml.{}_token_id", key), *id);
  };
  token("bos", config.bos);
  token("eos", config.eos);
  token("eot", config.eot);
  token("padding", config.padding);
  return meta;
}

}  // namespace tern
