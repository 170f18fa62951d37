// A file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace tern {

/// Writes to a temporary file in the folder of `path`; Commit gives it its name. Without Commit the
/// destructor removes it, so that a failure leaves `path` as it was. Errors: kResourceExhausted
/// when the disk, a quota or a size limit is full, kNotFound for a missing folder, kInvalidArgument
/// for anything else; messages name the path and the cause. Thread rule: one thread.
class OutputFile {
 public:
  static Result<std::unique_ptr<OutputFile>> Create(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  Status Write(std::span<const std::byte> bytes);
  /// Syncs the data to the disk, then renames the file to `path` (replacing what is there).
  Status Commit();

 private:
  OutputFile(std::string path, std::string temporary, int fd);
  Status Flush();
  Status WriteThrough(std::span<const std::byte> bytes);

  std::string path_;
  std::string temporary_;  // empty once renamed
  int fd_;
  std::vector<std::byte> buffer_;
};

}  // namespace tern
