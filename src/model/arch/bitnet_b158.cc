// microsoft/bitnet-b1.58-2B-4T and our own small model: squared ReLU, sub-norms (docs/formats.md).
#include "model/arch/architectures.h"

namespace tern {

const Architecture kBitnetB158 = {
    .name = "bitnet-b1.58",
    .alias = "bitnet-25",
    .gate = GateFunction::kReluSquared,
    .rope_style = RopeStyle::kNeox,
    .sub_norms = true,
    .head_norms = false,
    .trained_with = ActivationType::kInt8,
    .refine = nullptr,
};

}  // namespace tern
