// Qwen3 with ternary group scales (Ternary Bonsai). Trained without activation quantisation.
#include "model/arch/architectures.h"

namespace tern {

const Architecture kQwen3 = {
    .name = "qwen3",
    .alias = "",
    .gate = GateFunction::kSilu,
    .rope_style = RopeStyle::kNeox,
    .sub_norms = false,
    .head_norms = true,
    .trained_with = ActivationType::kFloat,
    .refine = nullptr,
};

}  // namespace tern
