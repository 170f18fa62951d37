// Packed weights between two runs: what is in the cache file is mapped, what is not is packed and
// goes there.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backend/backend.h"
#include "formats/packed_cache.h"
#include "formats/weight_source.h"

namespace tern {

struct CacheOptions {
  std::string folder;  // "": no cache
  /// Models whose packed weights take less are packed each time: that is quick.
  uint64_t min_bytes = uint64_t{64} << 20;
  bool check = false;  // reads all of the file to compare digests
  bool copy = false;   // weights of the file into memory, where huge pages hold them
};

/// What became of the cache in a load.
enum class CacheUse : uint8_t {
  kOff,          // not asked for
  kSmall,        // the model is too small to need it
  kUnsupported,  // the backend, or the source, can't have one
  kMapped,       // the weights lie in the file
  kCopied,       // the weights came from the file
  kWritten,      // packed, and the file is there now
  kFailed,       // packed, and the file could not be written: see note
};
std::string_view CacheUseName(CacheUse use);

struct CacheReport {
  CacheUse use = CacheUse::kOff;
  std::string file;
  uint64_t bytes = 0;  // of blobs mapped or written
  std::string note;    // for the user: why a file was rebuilt, or could not be written
};

/// The cache of one load. No error of the file is an error of the load. Thread rule: one thread.
class WeightCache {
 public:
  /// packed_bytes: about what the packed weights take. variant: which matrices are packed together.
  static WeightCache Open(const CacheOptions& options, const WeightSource& source,
                          const SourceOptions& source_options, const Backend& backend,
                          std::string_view variant, uint64_t packed_bytes);

  /// The matrix of this name and shape, or null when it has to be packed.
  std::unique_ptr<PackedTernary> Get(const std::string& name, int64_t rows, int64_t cols,
                                     Backend& backend);
  /// Keeps a matrix that was packed.
  void Put(const std::string& name, const PackedTernary& matrix);
  /// The file appears, if everything went well.
  void Finish();

  const CacheReport& report() const { return report_; }

 private:
  explicit WeightCache(const WeightSource& source) : source_(&source) {}
  void StartWriting();
  void GiveUp(const Error& error);

  const WeightSource* source_;
  PackedCacheKey key_;
  std::shared_ptr<const PackedCache> mapped_;
  std::unique_ptr<PackedCacheWriter> writer_;
  bool copy_ = false;
  CacheReport report_;
};

}  // namespace tern
