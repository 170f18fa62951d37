// tern info --devices: the GPUs that models can run on.
#pragma once

#include "base/result.h"

namespace tern::cli {

/// Prints them, and why they can't be used where that is so. Returns the exit code.
Result<int> PrintDevices(bool json);

}  // namespace tern::cli
