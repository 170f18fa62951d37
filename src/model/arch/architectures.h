// The rows of the architecture table, one file each.
#pragma once

#include "model/model_config.h"

namespace tern {

extern const Architecture kBitnetB158;
extern const Architecture kBitnet;
extern const Architecture kLlama;
extern const Architecture kQwen3;

}  // namespace tern
