// config.json of a Hugging Face folder: checked, and translated to the metadata keys that the same
// model has as GGUF.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "formats/metadata.h"

namespace tern {

/// Which classes of transformers the checkpoint belongs to.
enum class HfFamily : uint8_t { kBitNet, kLlama, kQwen3 };

/// How quantization_config says the linear layers are kept.
enum class HfQuantization : uint8_t {
  kNone,      // no quantization_config
  kMultiply,  // "autobitlinear", offline: weight = q * weight_scale
  kDivide,    // "bitlinear" (or no linear_class): weight = q / weight_scale
  kOnline,    // "autobitlinear", online: float weights, quantised on loading
};

struct HfRope {
  double theta = 10000;
  std::string scaling;           // "", "linear" or "yarn"
  double factor = 1;             // linear, yarn
  int64_t original_context = 0;  // yarn
};

struct HfConfig {
  HfFamily family = HfFamily::kBitNet;
  int64_t dim = 0;       // hidden_size
  int64_t layers = 0;    // num_hidden_layers
  int64_t heads = 0;     // num_attention_heads
  int64_t kv_heads = 0;  // num_key_value_heads
  int64_t head_dim = 0;
  int64_t ffn = 0;      // intermediate_size
  int64_t vocab = 0;    // vocab_size
  int64_t context = 0;  // max_position_embeddings
  double eps = 0;       // rms_norm_eps
  HfRope rope;
  std::string activation;                         // hidden_act: "relu2" or "silu"
  std::optional<bool> tied;                       // tie_word_embeddings, where the file says it
  std::optional<int64_t> bos, eos, eot, padding;  // token ids; a list of eos gives its first two
  HfQuantization quantization = HfQuantization::kNone;
};

/// Parses and checks. Every error names `file` and the field: kCorrupt for sizes that are missing,
/// of another type, out of range or contradict each other; kUnsupported, by name, for what tern
/// can't run (other architectures, RoPE scalings, quantisation methods, sliding windows, per-linear
/// norms).
Result<HfConfig> ParseHfConfig(std::string_view text, const std::string& file);

/// "BitNet", "Llama", "Qwen3".
std::string_view Name(HfFamily family);

/// The keys of the equivalent GGUF file. `architecture` is general.architecture, `name`
/// general.name.
Metadata MetadataOf(const HfConfig& config, const std::string& architecture,
                    const std::string& name);

}  // namespace tern
