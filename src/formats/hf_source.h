// A Hugging Face checkpoint folder as the WeightSource that its GGUF conversion would be.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/hf_config.h"
#include "formats/safetensors.h"
#include "formats/weight_source.h"

namespace tern {

/// Opens config.json and the safetensors file or shards beside it. Everything but the weights
/// themselves is checked here: every tensor's role, shape and type (docs/formats.md, "Hugging Face
/// checkpoints"). Weights are read, and dense models found out, by ReadTernary. The options concern
/// GGUF and change nothing.
Result<std::unique_ptr<WeightSource>> OpenHfFolder(const std::string& path,
                                                   const SourceOptions& options);

/// The same from parts: `path` is for messages and for general.name.
Result<std::unique_ptr<WeightSource>> MakeHfSource(const std::string& path, const HfConfig& config,
                                                   std::vector<SafetensorsTensor> tensors);

}  // namespace tern
