// 1bitLLM/bitnet_b1_58-large and -3B: like bitnet-b1.58 with SiLU. Upstream may name another gate
// in a key.
#include "model/arch/architectures.h"

namespace tern {
namespace {

// The newest bitnet.cpp gives the same name to an unrelated mixture-of-experts graph.
Status Refine(const WeightSource& source, ModelConfig& config) {
  if (!source.Find("blk.0.attn_sub_norm.weight") || !source.Find("blk.0.ffn_sub_norm.weight"))
    return Fail(Code::kUnsupported,
                "architecture 'bitnet' without 'blk.0.attn_sub_norm.weight' and "
                "'blk.0.ffn_sub_norm.weight': "
                "another model uses the same name, and tern can't run it");
  TERN_ASSIGN_OR_RETURN(const std::string gate,
                        source.metadata().StringOr("bitnet.hidden_activation", "silu"));
  if (gate == "relu2" || gate == "relu_sqr")
    config.gate = GateFunction::kReluSquared;
  else if (gate != "silu")
    return Fail(Code::kUnsupported,
                "key 'bitnet.hidden_activation': found '{}', expected silu or relu2", gate);
  return {};
}

}  // namespace

const Architecture kBitnet = {
    .name = "bitnet",
    .alias = "",
    .gate = GateFunction::kSilu,
    .rope_style = RopeStyle::kNeox,
    .sub_norms = true,
    .head_norms = false,
    .trained_with = ActivationType::kInt8,
    .refine = Refine,
};

}  // namespace tern
