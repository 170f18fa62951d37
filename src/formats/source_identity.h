// What a model's files are, so that something made from them can be told from something made from
// others.
#pragma once

#include <string>

#include "base/result.h"
#include "formats/weight_source.h"

namespace tern {

/// Path, size and times of the file, or of every JSON and safetensors file of the folder: one line
/// each. Errors: kNotFound.
Result<std::string> StampFiles(const std::string& path);

/// Whether the files still are what they were when the source was opened. Waits, at most 50 ms, for
/// the clock of the file system to have moved on: a later change shows in the stamp.
bool FilesAreUnchanged(const WeightSource& source);

/// The source's stamp, and a digest of how its tensors are read: names, shapes, types, places,
/// layout. "" for a source that is not in files, or whose files have changed since it was opened.
std::string SourceIdentity(const WeightSource& source, const SourceOptions& options);

}  // namespace tern
