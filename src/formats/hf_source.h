// A Hugging Face checkpoint folder as a WeightSource.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "formats/weight_source.h"

namespace tern {

Result<std::unique_ptr<WeightSource>> OpenHfFolder(const std::string& path, const SourceOptions& options);

}  // namespace tern
