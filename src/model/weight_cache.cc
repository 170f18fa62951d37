#include "model/weight_cache.h"

#include "formats/source_identity.h"

namespace tern {

std::string_view CacheUseName(CacheUse use) {
  switch (use) {
    case CacheUse::kOff:
      return "off";
    case CacheUse::kSmall:
      return "not needed";
    case CacheUse::kUnsupported:
      return "not possible";
    case CacheUse::kMapped:
      return "mapped";
    case CacheUse::kCopied:
      return "copied";
    case CacheUse::kWritten:
      return "written";
    case CacheUse::kFailed:
      return "failed";
  }
  return "";
}

WeightCache WeightCache::Open(const CacheOptions& options, const WeightSource& source,
                              const SourceOptions& source_options, const Backend& backend,
                              std::string_view variant, uint64_t packed_bytes) {
  WeightCache cache(source);
  if (options.folder.empty()) return cache;
  cache.report_.use = CacheUse::kSmall;
  if (packed_bytes < options.min_bytes) return cache;
  cache.report_.use = CacheUse::kUnsupported;
  cache.key_ = {SourceIdentity(source, source_options),
                fmt::format("{} {} {}", backend.name(), backend.packed_layout(), variant)};
  if (cache.key_.source.empty() || backend.packed_layout().empty()) return cache;
  cache.report_.file = PackedCachePath(options.folder, source.path(), cache.key_.layout);
  auto opened = PackedCache::Open(cache.report_.file, cache.key_);
  if (opened && options.check) {
    if (auto verified = (*opened)->Verify(); !verified) opened = tl::unexpected(verified.error());
  }
  if (opened) {
    cache.report_.use = options.copy ? CacheUse::kCopied : CacheUse::kMapped;
    cache.copy_ = options.copy;
    cache.mapped_ = std::move(*opened);
    return cache;
  }
  // A file of an older state of the model is the ordinary case and not worth a word.
  if (opened.error().code != Code::kNotFound && opened.error().code != Code::kUnsupported)
    cache.report_.note =
        fmt::format("the cache of packed weights is made anew: {}", opened.error().message);
  cache.StartWriting();
  return cache;
}

void WeightCache::StartWriting() {
  auto writer = PackedCacheWriter::Create(report_.file, key_);
  if (!writer) return GiveUp(writer.error());
  writer_ = std::move(*writer);
  report_.use = CacheUse::kWritten;
}

void WeightCache::GiveUp(const Error& error) {
  writer_.reset();
  report_.use = CacheUse::kFailed;
  report_.note = fmt::format("packed weights are not kept: {}", error.message);
}

std::unique_ptr<PackedTernary> WeightCache::Get(const std::string& name, int64_t rows, int64_t cols,
                                                Backend& backend) {
  if (!mapped_) return nullptr;
  const CachedBlob* blob = mapped_->Find(name);
  if (blob && blob->rows == rows && blob->cols == cols) {
    auto restored = backend.Restore({rows, cols, blob->group, blob->bytes, mapped_, copy_});
    if (restored) {
      report_.bytes += blob->bytes.size();
      return std::move(*restored);
    }
  }
  // Whole tables that don't fit their model are a fault of ours; packing again mends it.
  report_.note = fmt::format("{}: '{}' does not fit the model: packed again", report_.file, name);
  return nullptr;
}

void WeightCache::Put(const std::string& name, const PackedTernary& matrix) {
  if (!writer_) return;
  const auto blob = matrix.blob();
  const Status added = writer_->Add(name, {matrix.rows(), matrix.cols(), matrix.group(), blob, 0});
  if (!added) return GiveUp(added.error());
  report_.bytes += blob.size();
}

void WeightCache::Finish() {
  mapped_.reset();  // its bytes live as long as the matrices in them
  if (!writer_) return;
  if (!FilesAreUnchanged(*source_))
    return GiveUp(
        {Code::kInvalidArgument, source_->path() + ": the file changed while it was read"});
  if (const Status committed = writer_->Commit(); !committed) return GiveUp(committed.error());
  writer_.reset();
}

}  // namespace tern
