// Names for numbers that travel through every layer.
#pragma once

#include <cstdint>

namespace tern {

using TokenId = int32_t;

}  // namespace tern
