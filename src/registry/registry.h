// The one place that knows every backend by name.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "backend/optimization.h"

namespace tern {

struct BackendOptions {
  int threads = 0;  // <= 0: one per usable CPU
  OptimizationLevel level = OptimizationLevel::kAggressive;
};

/// Names in order of preference.
std::vector<std::string_view> BackendNames();

/// Creates a backend by name; "cuda:1" is the second GPU, "cuda" the first; "" or "auto" takes
/// $TERN_FORCE_BACKEND, else the first that works here. Errors: kInvalidArgument for an unknown
/// name (the message lists the known ones).
Result<std::unique_ptr<Backend>> CreateBackend(std::string_view name,
                                               const BackendOptions& options);

}  // namespace tern
