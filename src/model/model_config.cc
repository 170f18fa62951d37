#include "model/model_config.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace tern {
namespace {

constexpr int64_t kMaxSize =
    int64_t{1} << 24;  // far above any model; keeps every product of two sizes in range

class Reader {
 public:
  Reader(const WeightSource& source, std::string arch)
      : meta_(source.metadata()), arch_(std::move(arch)) {}

  std::string Key(std::string_view name) const { return fmt::format("{}.{}", arch_, name); }

  Result<int64_t> Size(std::string_view name) const {
    TERN_ASSIGN_OR_RETURN(const int64_t value, meta_.Int(Key(name)));
    return CheckSize(name, value);
  }
  Result<int64_t> SizeOr(std::string_view name, int64_t fallback) const {
    TERN_ASSIGN_OR_RETURN(const int64_t value, meta_.IntOr(Key(name), fallback));
    return CheckSize(name, value);
  }
  /// A key that may hold one value for each layer: they have to be the same.
  Result<int64_t> SizeOfLayersOr(std::string_view name, int64_t fallback) const {
    const MetaValue* value = meta_.Find(Key(name));
    if (value == nullptr || !std::holds_alternative<std::vector<int64_t>>(*value))
      return SizeOr(name, fallback);
    const auto& layers = std::get<std::vector<int64_t>>(*value);
    if (layers.empty() ||
        std::adjacent_find(layers.begin(), layers.end(), std::not_equal_to<>()) != layers.end())
      return Fail(Code::kUnsupported,
                  "key '{}': found {} values ({}), expected the same for every layer", Key(name),
                  layers.size(), fmt::join(layers, ", "));
    return CheckSize(name, layers.front());
  }
  Result<double> PositiveOr(std::string_view name, double fallback) const {
    TERN_ASSIGN_OR_RETURN(const double value, meta_.FloatOr(Key(name), fallback));
    if (!(value > 0) || !std::isfinite(value))
      return Fail(Code::kCorrupt, "key '{}': found {}, expected a positive number", Key(name),
                  value);
    return value;
  }
  const Metadata& meta() const { return meta_; }

 private:
  Result<int64_t> CheckSize(std::string_view name, int64_t value) const {
    if (value < 1 || value > kMaxSize)
      return Fail(Code::kCorrupt, "key '{}': found {}, expected 1 to {}", Key(name), value,
                  kMaxSize);
    return value;
  }

  const Metadata& meta_;
  std::string arch_;
};

Result<RopeConfig> ReadRope(const WeightSource& source, const Reader& keys,
                            const HeadShape& heads) {
  RopeConfig rope;
  TERN_ASSIGN_OR_RETURN(rope.base, keys.PositiveOr("rope.freq_base", 10000));
  TERN_ASSIGN_OR_RETURN(rope.dims, keys.SizeOr("rope.dimension_count", heads.head_dim));
  if (rope.dims > heads.head_dim || rope.dims % 2 != 0)
    return Fail(Code::kCorrupt,
                "key '{}': found {}, expected an even number up to the head size {}",
                keys.Key("rope.dimension_count"), rope.dims, heads.head_dim);
  TERN_ASSIGN_OR_RETURN(const std::string scaling,
                        keys.meta().StringOr(keys.Key("rope.scaling.type"), "none"));
  TERN_ASSIGN_OR_RETURN(rope.factor, keys.PositiveOr("rope.scaling.factor", 1));
  if (scaling == "linear") {
    rope.scaling = RopeConfig::Scaling::kLinear;
  } else if (scaling == "yarn") {
    rope.scaling = RopeConfig::Scaling::kYarn;
    TERN_ASSIGN_OR_RETURN(rope.original_context, keys.Size("rope.scaling.original_context_length"));
  } else if (scaling != "none") {
    return Fail(Code::kUnsupported,
                "key '{}': RoPE scaling '{}' is not supported, only none, linear and yarn",
                keys.Key("rope.scaling.type"), scaling);
  }
  constexpr std::string_view kFactors = "rope_freqs.weight";
  if (const TensorInfo* info = source.Find(kFactors)) {
    TERN_ASSIGN_OR_RETURN(rope.frequency_factors, source.ReadF32(kFactors));
    if (rope.frequency_factors.size() != static_cast<size_t>(rope.dims / 2))
      return Fail(Code::kCorrupt, "{}: tensor '{}': found {} values, expected {}", info->file,
                  kFactors, rope.frequency_factors.size(), rope.dims / 2);
  }
  return rope;
}

Result<ModelConfig> ReadKeys(const WeightSource& source) {
  TERN_ASSIGN_OR_RETURN(const std::string name, source.metadata().String("general.architecture"));
  TERN_ASSIGN_OR_RETURN(const Architecture* arch, FindArchitecture(name));
  const Reader keys(source, name);
  ModelConfig config;
  config.architecture = std::string(arch->name);
  TERN_ASSIGN_OR_RETURN(config.name, source.metadata().StringOr("general.name", ""));
  config.gate = arch->gate;
  config.rope_style = arch->rope_style;
  config.sub_norms = arch->sub_norms;
  config.head_norms = arch->head_norms;
  config.trained_with = arch->trained_with;
  TERN_ASSIGN_OR_RETURN(config.layers, keys.Size("block_count"));
  if (config.layers > std::ssize(source.tensors()))
    return Fail(Code::kCorrupt, "key '{}': found {}, expected at most {}, the number of tensors",
                keys.Key("block_count"), config.layers, source.tensors().size());
  TERN_ASSIGN_OR_RETURN(config.dim, keys.Size("embedding_length"));
  TERN_ASSIGN_OR_RETURN(config.ffn, keys.Size("feed_forward_length"));
  TERN_ASSIGN_OR_RETURN(config.context, keys.SizeOr("context_length", 2048));
  HeadShape& heads = config.heads;
  TERN_ASSIGN_OR_RETURN(heads.heads, keys.Size("attention.head_count"));
  TERN_ASSIGN_OR_RETURN(heads.kv_heads,
                        keys.SizeOfLayersOr("attention.head_count_kv", heads.heads));
  if (heads.heads % heads.kv_heads != 0)
    return Fail(Code::kCorrupt, "key '{}': found {}, expected a divisor of the {} heads",
                keys.Key("attention.head_count_kv"), heads.kv_heads, heads.heads);
  if (!source.metadata().Has(keys.Key("attention.key_length")) && config.dim % heads.heads != 0)
    return Fail(Code::kCorrupt, "key '{}': found {}, expected a divisor of the embedding length {}",
                keys.Key("attention.head_count"), heads.heads, config.dim);
  TERN_ASSIGN_OR_RETURN(heads.head_dim,
                        keys.SizeOr("attention.key_length", config.dim / heads.heads));
  TERN_ASSIGN_OR_RETURN(const int64_t value_dim,
                        keys.SizeOr("attention.value_length", heads.head_dim));
  if (value_dim != heads.head_dim)
    return Fail(Code::kUnsupported, "key '{}': found {}, expected the key length {}",
                keys.Key("attention.value_length"), value_dim, heads.head_dim);
  TERN_ASSIGN_OR_RETURN(const double eps,
                        keys.PositiveOr("attention.layer_norm_rms_epsilon", 1e-5));
  config.eps = static_cast<float>(eps);
  TERN_ASSIGN_OR_RETURN(config.rope, ReadRope(source, keys, heads));
  // The embedding's own size is the vocabulary: ARCH.vocab_size and the tokenizer may count fewer
  // (padding rows).
  const TensorInfo* embedding = source.Find("token_embd.weight");
  if (embedding == nullptr) return Fail(Code::kNotFound, "tensor 'token_embd.weight' is missing");
  config.vocab = embedding->rows();
  if (config.vocab < 1 || config.vocab > kMaxSize)
    return Fail(Code::kCorrupt, "tensor 'token_embd.weight': found {} rows, expected 1 to {}",
                config.vocab, kMaxSize);
  if (arch->refine) TERN_TRY(arch->refine(source, config));
  return config;
}

// YaRN (Peng et al., 2023, section 3.2): frequencies of many turns over the original context are
// kept, those of few are divided by the factor, with a linear ramp between; cos and sin are scaled
// by 0.1 ln(factor) + 1.
constexpr double kYarnFast = 32, kYarnSlow = 1;

double YarnDimension(const RopeConfig& rope, double turns) {
  const double two_pi = 2 * 3.14159265358979323846;
  return static_cast<double>(rope.dims) *
         std::log(static_cast<double>(rope.original_context) / (turns * two_pi)) /
         (2 * std::log(rope.base));
}

std::vector<float> Frequencies(const RopeConfig& rope) {
  std::vector<float> out(static_cast<size_t>(rope.dims / 2));
  const bool yarn = rope.scaling == RopeConfig::Scaling::kYarn;
  const double low = yarn ? std::max(std::floor(YarnDimension(rope, kYarnFast)), 0.0) : 0;
  double high =
      yarn ? std::min(std::ceil(YarnDimension(rope, kYarnSlow)), static_cast<double>(rope.dims - 1))
           : 0;
  if (high == low) high += 0.001;
  for (size_t i = 0; i < out.size(); ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(rope.dims);
    // transformers computes base^exponent in float32; its reciprocal is taken in float32 too.
    double frequency = 1.0f / static_cast<float>(std::pow(rope.base, exponent));
    if (!rope.frequency_factors.empty()) frequency /= rope.frequency_factors[i];
    if (rope.scaling == RopeConfig::Scaling::kLinear) frequency /= rope.factor;
    if (yarn) {
      const double ramp =
          std::min(std::max((static_cast<double>(i) - low) / (high - low), 0.0), 1.0);
      frequency = frequency / rope.factor * ramp + frequency * (1 - ramp);
    }
    out[i] = static_cast<float>(frequency);
  }
  return out;
}

}  // namespace

Result<ModelConfig> ReadModelConfig(const WeightSource& source) {
  auto config = ReadKeys(source);
  if (!config) return Within(source.path(), config.error());
  return config;
}

std::vector<float> RopeTable(const RopeConfig& rope, int64_t positions) {
  const std::vector<float> frequencies = Frequencies(rope);
  const bool yarn = rope.scaling == RopeConfig::Scaling::kYarn;
  const float magnitude =
      yarn && rope.factor > 1 ? static_cast<float>(0.1 * std::log(rope.factor) + 1) : 1.0f;
  std::vector<float> table;
  table.reserve(static_cast<size_t>(positions * rope.dims));
  for (int64_t p = 0; p < positions; ++p) {
    for (const float f : frequencies)
      table.push_back(std::cos(static_cast<float>(p) * f) * magnitude);
    for (const float f : frequencies)
      table.push_back(std::sin(static_cast<float>(p) * f) * magnitude);
  }
  return table;
}

}  // namespace tern
