// A folder that a command writes its results to.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace tern::cli {

class OutputFolder {
 public:
  /// Makes the folder, and those above it, when it isn't there. Errors: kInvalidArgument with the
  /// reason.
  static Result<OutputFolder> Open(const std::string& path);

  /// A file in it, whole or not at all. Errors: as OutputFile.
  Status Write(const std::string& name, std::string_view text) const;
  std::string PathOf(const std::string& name) const;

 private:
  explicit OutputFolder(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

}  // namespace tern::cli
