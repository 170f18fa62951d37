// Vector kernels for the CPU. Same bits as the reference backend on every instruction set and
// thread count.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace tern {

/// threads <= 0: one per usable CPU. Errors: what TERN_FORCE_ISA can be wrong in.
Result<std::unique_ptr<Backend>> CreateCpuBackend(int threads);

}  // namespace tern
