// A file of weights as a backend packs them, to be mapped instead of packing again. Layout:
//   "TERNPACK", u32 version, u32 zero; blobs, each at a multiple of 4096; the table; the footer.
//   table: source, layout (u32 length and bytes), u32 count; for each blob its name, i64 rows, cols
//   and group, u64 offset, bytes and digest.
//   footer: u64 offset, bytes and digest of the table, u64 bytes of the file, "TERNPEND".
// Whatever a file holds, reading it is an error or gives blobs inside it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "platform/mapped_file.h"
#include "platform/output_file.h"

namespace tern {

/// What a cache must have been made from to be used.
struct PackedCacheKey {
  std::string source;  // SourceIdentity
  std::string layout;  // of the backend, and which matrices it packs together
};

struct CachedBlob {
  int64_t rows = 0, cols = 0, group = 0;
  std::span<const std::byte> bytes;  // aligned to 4096
  uint64_t digest = 0;
};

/// Thread rule: immutable after Open.
class PackedCache {
 public:
  /// Errors: kNotFound when there is no such file, kUnsupported when it was made from something
  /// else or by another version, kCorrupt when it is damaged.
  static Result<std::shared_ptr<const PackedCache>> Open(const std::string& path,
                                                         const PackedCacheKey& key);
  /// The same for a file that is mapped already.
  static Result<std::shared_ptr<const PackedCache>> Read(std::shared_ptr<const MappedFile> file,
                                                         const PackedCacheKey& key);

  /// nullptr when there is none of this name.
  const CachedBlob* Find(std::string_view name) const;
  /// Reads every byte: kCorrupt, with the blob's name, when one differs from what was written.
  Status Verify() const;

 private:
  PackedCache() = default;
  Status ReadTable(const PackedCacheKey& key);

  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, CachedBlob, std::less<>> blobs_;
};

/// Thread rule: one thread. Errors are those of OutputFile.
class PackedCacheWriter {
 public:
  /// Makes the folder too. Removes what a process that died has left of this file.
  static Result<std::unique_ptr<PackedCacheWriter>> Create(const std::string& path,
                                                           const PackedCacheKey& key);
  Status Add(std::string_view name, const CachedBlob& blob);
  /// The file appears; until then there is none of this name, or the old one.
  Status Commit();

 private:
  PackedCacheWriter(std::unique_ptr<OutputFile> file, const PackedCacheKey& key);
  Status Append(std::span<const std::byte> bytes);

  std::unique_ptr<OutputFile> file_;
  std::string key_;    // as it stands in the table
  std::string table_;  // rows so far
  uint32_t count_ = 0;
  uint64_t offset_ = 0;
};

/// Where the cache of a model lies in a folder: one file for each model's path and layout.
std::string PackedCachePath(const std::string& folder, const std::string& model,
                            const std::string& layout);

}  // namespace tern
