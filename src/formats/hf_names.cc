#include "formats/hf_names.h"

#include <array>
#include <charconv>

namespace tern {
namespace {

enum class Size : uint8_t { kOne, kDim, kFfn, kQuery, kKeyValue, kHead, kVocab };

struct Row {
  std::string_view hf;    // below "model.layers.N." for the tensors of a layer
  std::string_view gguf;  // below "blk.N."
  HfRole role;
  Size rows, cols;
  bool rope = false;  // rows follow the RoPE order
};

constexpr std::array<Row, 3> kModelRows = {{
    {"model.embed_tokens.weight", "token_embd.weight", HfRole::kTable, Size::kVocab, Size::kDim},
    {"model.norm.weight", "output_norm.weight", HfRole::kNorm, Size::kOne, Size::kDim},
    {"lm_head.weight", "output.weight", HfRole::kTable, Size::kVocab, Size::kDim},
}};

constexpr std::array<Row, 15> kLayerRows = {{
    {"input_layernorm.weight", "attn_norm.weight", HfRole::kNorm, Size::kOne, Size::kDim},
    {"self_attn.q_proj.weight", "attn_q.weight", HfRole::kLinear, Size::kQuery, Size::kDim, true},
    {"self_attn.k_proj.weight", "attn_k.weight", HfRole::kLinear, Size::kKeyValue, Size::kDim,
     true},
    {"self_attn.v_proj.weight", "attn_v.weight", HfRole::kLinear, Size::kKeyValue, Size::kDim},
    {"self_attn.q_norm.weight", "attn_q_norm.weight", HfRole::kNorm, Size::kOne, Size::kHead},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", HfRole::kNorm, Size::kOne, Size::kHead},
    {"self_attn.attn_sub_norm.weight", "attn_sub_norm.weight", HfRole::kNorm, Size::kOne,
     Size::kQuery},
    {"self_attn.inner_attn_ln.weight", "attn_sub_norm.weight", HfRole::kNorm, Size::kOne,
     Size::kQuery},
    {"self_attn.o_proj.weight", "attn_output.weight", HfRole::kLinear, Size::kDim, Size::kQuery},
    {"post_attention_layernorm.weight", "ffn_norm.weight", HfRole::kNorm, Size::kOne, Size::kDim},
    {"mlp.gate_proj.weight", "ffn_gate.weight", HfRole::kLinear, Size::kFfn, Size::kDim},
    {"mlp.up_proj.weight", "ffn_up.weight", HfRole::kLinear, Size::kFfn, Size::kDim},
    {"mlp.ffn_sub_norm.weight", "ffn_sub_norm.weight", HfRole::kNorm, Size::kOne, Size::kFfn},
    {"mlp.ffn_layernorm.weight", "ffn_sub_norm.weight", HfRole::kNorm, Size::kOne, Size::kFfn},
    {"mlp.down_proj.weight", "ffn_down.weight", HfRole::kLinear, Size::kDim, Size::kFfn},
}};

/// Norms that only some families have; elsewhere they would be a different graph.
bool BelongsTo(const Row& row, HfFamily family) {
  const bool head_norm = row.cols == Size::kHead;
  const bool sub_norm = row.gguf == "attn_sub_norm.weight" || row.gguf == "ffn_sub_norm.weight";
  return (!head_norm || family == HfFamily::kQwen3) && (!sub_norm || family == HfFamily::kBitNet);
}

int64_t Value(Size size, const HfConfig& config) {
  switch (size) {
    case Size::kOne:
      return 1;
    case Size::kDim:
      return config.dim;
    case Size::kFfn:
      return config.ffn;
    case Size::kQuery:
      return config.heads * config.head_dim;
    case Size::kKeyValue:
      return config.kv_heads * config.head_dim;
    case Size::kHead:
      return config.head_dim;
    case Size::kVocab:
      return config.vocab;
  }
  return 0;
}

HfPlace PlaceOfRow(const Row& row, std::string name, const HfConfig& config) {
  HfPlace place;
  place.role = row.role;
  place.name = std::move(name);
  place.rows = Value(row.rows, config);
  place.cols = Value(row.cols, config);
  if (row.rope && config.family == HfFamily::kLlama)
    place.permute_heads = place.rows / config.head_dim;
  return place;
}

tl::unexpected<Error> Refuse(std::string_view name, HfFamily family) {
  if (name.ends_with(".bias")) return Fail(Code::kUnsupported, "biases are not supported");
  if (name.ends_with("_norm_in.weight") || name.ends_with(".rms_norm.weight") ||
      name.ends_with("_proj.norm.weight"))
    return Fail(Code::kUnsupported, "a norm in every linear layer is not supported");
  return Fail(Code::kUnsupported, "not a tensor of a {} model that tern knows", Name(family));
}

/// The part of `name` behind "model.layers.N." with N in `layer`; nothing for other names.
Result<std::optional<std::string_view>> LayerPart(std::string_view name, const HfConfig& config,
                                                  int64_t& layer) {
  constexpr std::string_view kPrefix = "model.layers.";
  if (!name.starts_with(kPrefix)) return std::optional<std::string_view>();
  const char* const end = name.data() + name.size();
  const auto [next, error] = std::from_chars(name.data() + kPrefix.size(), end, layer);
  if (error != std::errc() || next == end || *next != '.') return std::optional<std::string_view>();
  if (layer < 0 || layer >= config.layers)
    return Fail(Code::kCorrupt, "layer {}, but num_hidden_layers is {}", layer, config.layers);
  return std::string_view(next + 1, static_cast<size_t>(end - next - 1));
}

}  // namespace

Result<HfPlace> PlaceOf(std::string_view name, const HfConfig& config, bool tied) {
  const auto rows_of_layer = static_cast<int64_t>(kLayerRows.size());
  for (size_t i = 0; i < kModelRows.size(); ++i) {
    const Row& row = kModelRows[i];
    if (row.hf != name) continue;
    if (tied && row.gguf == "output.weight") return HfPlace{};
    HfPlace place = PlaceOfRow(row, std::string(row.gguf), config);
    place.order = i == 0 ? -1 : config.layers * rows_of_layer + static_cast<int64_t>(i);
    return place;
  }
  int64_t layer = 0;
  TERN_ASSIGN_OR_RETURN(const auto part, LayerPart(name, config, layer));
  if (!part) return Refuse(name, config.family);
  if (part->ends_with("rotary_emb.inv_freq")) return HfPlace{};

  constexpr std::string_view kScale = "_scale";
  const bool scale = part->ends_with(".weight_scale");
  const std::string_view weight = scale ? part->substr(0, part->size() - kScale.size()) : *part;
  for (size_t i = 0; i < kLayerRows.size(); ++i) {
    const Row& row = kLayerRows[i];
    if (row.hf != weight || !BelongsTo(row, config.family)) continue;
    if (scale && row.role != HfRole::kLinear) break;
    HfPlace place = PlaceOfRow(row, fmt::format("blk.{}.{}", layer, row.gguf), config);
    if (scale) place.role = HfRole::kScale;
    place.order = layer * rows_of_layer + static_cast<int64_t>(i);
    return place;
  }
  return Refuse(name, config.family);
}

bool IsSubNormOf1bitLlm(std::string_view name) {
  return name.ends_with(".inner_attn_ln.weight") || name.ends_with(".ffn_layernorm.weight");
}

int64_t PermutedRow(int64_t row, int64_t head_dim) {
  const int64_t head = row / head_dim;
  const int64_t within = row % head_dim;
  return head * head_dim + (within % 2) * (head_dim / 2) + within / 2;
}

}  // namespace tern
