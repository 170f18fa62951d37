// Names of Hugging Face tensors, and the GGUF names, shapes and roles that they have in tern.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "formats/hf_config.h"

namespace tern {

/// What a tensor is to the model.
enum class HfRole : uint8_t {
  kLinear,  // weight of a ternary projection, (outputs, inputs)
  kScale,   // its weight_scale, one value
  kNorm,    // gain of an RMSNorm, a vector
  kTable,   // embedding or output head, dense (vocab, hidden)
  kUnused,  // of no effect on the logits: rotary tables, the copy of a tied head
};

/// Where a tensor of the checkpoint goes.
struct HfPlace {
  HfRole role = HfRole::kUnused;
  std::string name;  // in GGUF; a kScale has the name of its linear layer
  int64_t rows = 0;  // expected shape, before any packing; a kNorm has rows = 1
  int64_t cols = 0;
  /// Heads whose rows are to be reordered from halves to interleaved pairs; 0 = rows stay.
  int64_t permute_heads = 0;
  /// Place in the file that tern writes: embedding, blocks, output.
  int64_t order = 0;
};

/// The place of the tensor `name` in a model of this configuration. `tied` = the head is the
/// embedding. Errors: kUnsupported for tensors that would change the graph (biases, per-linear
/// norms, anything unknown), kCorrupt for a layer outside the model. Messages do not name the
/// tensor; the caller does.
Result<HfPlace> PlaceOf(std::string_view name, const HfConfig& config, bool tied);

/// 1bitLLM's names of the sub-norms (inner_attn_ln, ffn_layernorm) mark its architecture, "bitnet".
bool IsSubNormOf1bitLlm(std::string_view name);

/// Old row of new row `row` when every head of `head_dim` rows goes from halves to interleaved
/// pairs: new row 2i+j <- old row j*head_dim/2+i. It turns the rotate-half RoPE order of Hugging
/// Face checkpoints into the order of GGUF "llama" files.
int64_t PermutedRow(int64_t row, int64_t head_dim);

}  // namespace tern
