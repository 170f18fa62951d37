// Between the types of the public header and those of the engine.
#pragma once

#include <tern/tern.h>

#include "base/result.h"
#include "engine/engine.h"

namespace tern {

v1::Error ToPublic(const Error& error);
v1::TokenLogprobs ToPublic(const TokenEvent& event);
v1::Usage ToPublic(const GenerationStats& stats);
/// monitor may be null.
v1::Stats ToPublic(const EngineStats& stats, const PerformanceMonitor* monitor);
v1::FinishReason ToPublic(FinishReason reason);

/// Errors: kInvalidArgument naming an option that can't be.
Result<EngineOptions> ToEngineOptions(const std::string& path, const v1::LoadOptions& options);
Result<GenerationOptions> ToGenerationOptions(const v1::GenerateOptions& options);

}  // namespace tern
