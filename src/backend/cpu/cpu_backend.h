// Vector kernels for the CPU. Same bits as the reference backend on every instruction set and
// thread count.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "backend/optimization.h"

namespace tern {

/// threads <= 0: one per usable CPU. Level kNone takes the scalar kernels, unless TERN_FORCE_ISA
/// names others. Errors: what TERN_FORCE_ISA can be wrong in.
Result<std::unique_ptr<Backend>> CreateCpuBackend(
    int threads, OptimizationLevel level = OptimizationLevel::kAggressive);

}  // namespace tern
