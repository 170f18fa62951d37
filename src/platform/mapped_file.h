// Read-only view of a whole file.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace tern {

/// A file opened for reading: mapped, or, when it is small, read. Bytes are aligned to 64. Thread
/// rule: immutable after Open, safe to share.
class MappedFile {
 public:
  /// From here on files are mapped.
  static constexpr size_t kMapFrom = size_t{1} << 18;

  /// Errors: kNotFound when it does not exist, kInvalidArgument for a folder or an unreadable file.
  static Result<std::shared_ptr<const MappedFile>> Open(const std::string& path);

  /// A view of bytes in memory under a name, for tests and fuzzers.
  static std::shared_ptr<const MappedFile> FromBytes(std::string path,
                                                     std::span<const std::byte> bytes);

  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

 private:
  MappedFile() = default;

  Status Map(int fd);
  Status Read(int fd);

  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  bool mapped_ = false;
  std::shared_ptr<std::byte> copy_;  // when it is not mapped
};

}  // namespace tern
