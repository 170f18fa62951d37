// What tern info shows of how tern runs a model on this machine.
#pragma once

#include "base/result.h"
#include "model_options.h"

namespace tern::cli {

/// Every kernel for ternary layers of this build: which one runs for how many rows of activations,
/// and why the others don't.
Result<int> PrintKernels(bool json);

/// Loads the model and prints its execution plan.
Result<int> PrintPlan(const ModelOptions& options, bool json);

}  // namespace tern::cli
