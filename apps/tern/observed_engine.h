// An engine whose operations somebody watches.
#pragma once

#include <memory>

#include "backend/trace/trace_backend.h"
#include "engine/engine.h"

namespace tern::cli {

struct ModelOptions;

/// As OpenEngine of model_options.h. The observer gets every operation of the backend, and outlives
/// the engine.
Result<std::unique_ptr<Engine>> OpenObservedEngine(const ModelOptions& options,
                                                   EngineOptions engine, OpObserver& observer);

}  // namespace tern::cli
