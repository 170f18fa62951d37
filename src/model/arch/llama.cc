// Llama with ternary weights: Llama3-8B-1.58, Falcon3-1.58bit, Falcon-E. q and k rows are in
// interleaved order.
#include "model/arch/architectures.h"

namespace tern {

const Architecture kLlama = {
    .name = "llama",
    .alias = "",
    .gate = GateFunction::kSilu,
    .rope_style = RopeStyle::kInterleaved,
    .sub_norms = false,
    .head_norms = false,
    .trained_with = ActivationType::kInt8,
    .refine = nullptr,
};

}  // namespace tern
