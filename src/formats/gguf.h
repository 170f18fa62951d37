// GGUF files as a WeightSource.
#pragma once

#include <memory>

#include "base/result.h"
#include "formats/weight_source.h"
#include "platform/mapped_file.h"

namespace tern {

/// Opens versions 2 and 3. Structure, types, bounds and overlaps of all tensors are checked here; a
/// tensor whose type tern can't read is listed and refused when it is read. Dense reads point into
/// the mapping, which lives as long as they do. kUnsupported for split files and for models that
/// need rotated activations (prism.hadamard.*).
Result<std::unique_ptr<WeightSource>> OpenGguf(std::shared_ptr<const MappedFile> file,
                                               const SourceOptions& options);

}  // namespace tern
