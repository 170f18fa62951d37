#include "formats/packed_cache.h"

#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <optional>

#include "base/bytes.h"
#include "base/math.h"
#include "formats/digest.h"
#include "formats/printable.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

// Another version means other bytes from the same source: a changed file format, but also a codec
// or a scale that is read differently. A backend's layout has a version of its own.
constexpr uint32_t kVersion = 1;
constexpr std::string_view kHeadMagic = "TERNPACK", kEndMagic = "TERNPEND";
constexpr size_t kHeadBytes = 16, kFooterBytes = 40;
constexpr uint64_t kBlobAlignment = 4096;
constexpr auto kAbandoned = std::chrono::minutes(10);

template <class T>
void Put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void PutText(std::string& out, std::string_view text) {
  Put(out, static_cast<uint32_t>(text.size()));
  out += text;
}

std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Reads a table. A read that asks for more than is left gives nothing, and so do all after it.
class TableReader {
 public:
  explicit TableReader(std::string_view bytes) : rest_(bytes) {}

  template <class T>
  std::optional<T> Get() {
    if (rest_.size() < sizeof(T)) return End();
    const T value = LoadLe<T>(rest_.data());
    rest_.remove_prefix(sizeof(T));
    return value;
  }
  std::optional<std::string_view> Text() {
    const auto length = Get<uint32_t>();
    if (!length || *length > rest_.size()) return End();
    const std::string_view text = rest_.substr(0, *length);
    rest_.remove_prefix(*length);
    return text;
  }
  bool empty() const { return rest_.empty(); }

 private:
  std::nullopt_t End() {
    rest_ = {};
    return std::nullopt;
  }

  std::string_view rest_;
};

struct Row {
  std::string_view name;
  int64_t rows, cols, group;
  uint64_t offset, bytes, digest;
};

std::optional<Row> ReadRow(TableReader& table) {
  const auto name = table.Text();
  const auto rows = table.Get<int64_t>(), cols = table.Get<int64_t>(), group = table.Get<int64_t>();
  const auto offset = table.Get<uint64_t>(), bytes = table.Get<uint64_t>(),
             digest = table.Get<uint64_t>();
  if (!digest) return std::nullopt;
  return Row{*name, *rows, *cols, *group, *offset, *bytes, *digest};
}

// The table's bytes, once head and footer have been found to agree with the file.
Result<std::span<const std::byte>> FindTable(std::span<const std::byte> file) {
  if (file.size() < kHeadBytes + kFooterBytes ||
      AsText(file.first(kHeadMagic.size())) != kHeadMagic)
    return Fail(Code::kCorrupt, "this is no cache of packed weights");
  if (const auto version = LoadLe<uint32_t>(file.data() + kHeadMagic.size()); version != kVersion)
    return Fail(Code::kUnsupported, "found version {}, expected {}", version, kVersion);
  const std::span<const std::byte> footer = file.last(kFooterBytes);
  const auto offset = LoadLe<uint64_t>(footer.data()), bytes = LoadLe<uint64_t>(footer.data() + 8),
             digest = LoadLe<uint64_t>(footer.data() + 16),
             file_bytes = LoadLe<uint64_t>(footer.data() + 24);
  const uint64_t end = file.size() - kFooterBytes;
  if (AsText(footer.last(kEndMagic.size())) != kEndMagic || file_bytes != file.size() ||
      offset < kHeadBytes || offset > end || bytes != end - offset)
    return Fail(Code::kCorrupt, "the file is cut or damaged");
  const std::span<const std::byte> table = file.subspan(offset, bytes);
  if (Digest(table) != digest) return Fail(Code::kCorrupt, "its table is damaged");
  return table;
}

// A process that was killed leaves its temporary file, which may be large.
void RemoveAbandoned(const fs::path& path) {
  std::error_code ec;
  const std::string prefix = path.filename().string() + ".part";
  for (fs::directory_iterator it(path.parent_path(), ec), end; !ec && it != end; it.increment(ec)) {
    if (!it->path().filename().string().starts_with(prefix)) continue;
    const auto written = it->last_write_time(ec);
    if (!ec && fs::file_time_type::clock::now() - written > kAbandoned) fs::remove(it->path(), ec);
  }
}

}  // namespace

Result<std::shared_ptr<const PackedCache>> PackedCache::Open(const std::string& path,
                                                             const PackedCacheKey& key) {
  TERN_ASSIGN_OR_RETURN(auto file, MappedFile::Open(path));
  return Read(std::move(file), key);
}

Result<std::shared_ptr<const PackedCache>> PackedCache::Read(std::shared_ptr<const MappedFile> file,
                                                             const PackedCacheKey& key) {
  std::shared_ptr<PackedCache> cache(new PackedCache);
  cache->file_ = std::move(file);
  if (auto read = cache->ReadTable(key); !read)
    return Within(cache->file_->path(), std::move(read.error()));
  return cache;
}

Status PackedCache::ReadTable(const PackedCacheKey& key) {
  const std::span<const std::byte> file = file_->bytes();
  TERN_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, FindTable(file));
  TableReader table(AsText(bytes));
  const auto source = table.Text(), layout = table.Text();
  const auto count = table.Get<uint32_t>();
  if (!count) return Fail(Code::kCorrupt, "its table is cut");
  if (*source != key.source)
    return Fail(Code::kUnsupported, "it was made from another state of the model");
  if (*layout != key.layout)
    return Fail(Code::kUnsupported, "found layout '{}', expected '{}'", Printable(*layout),
                key.layout);
  const auto blobs_end = static_cast<uint64_t>(bytes.data() - file.data());
  for (uint32_t i = 0; i < *count; ++i) {
    const auto row = ReadRow(table);
    if (!row) return Fail(Code::kCorrupt, "its table is cut");
    if (row->offset % kBlobAlignment != 0 || row->offset < kHeadBytes || row->offset > blobs_end ||
        row->bytes > blobs_end - row->offset)
      return Fail(Code::kCorrupt, "'{}' lies outside the file", Printable(row->name));
    blobs_[std::string(row->name)] = {row->rows, row->cols, row->group,
                                      file.subspan(row->offset, row->bytes), row->digest};
  }
  if (!table.empty() || blobs_.size() != *count)
    return Fail(Code::kCorrupt, "its table is damaged");
  return {};
}

const CachedBlob* PackedCache::Find(std::string_view name) const {
  const auto found = blobs_.find(name);
  return found == blobs_.end() ? nullptr : &found->second;
}

Status PackedCache::Verify() const {
  for (const auto& [name, blob] : blobs_)
    if (const uint64_t found = Digest(blob.bytes); found != blob.digest)
      return Fail(Code::kCorrupt, "{}: '{}': found digest {:016x}, expected {:016x}", file_->path(),
                  Printable(name), found, blob.digest);
  return {};
}

Result<std::unique_ptr<PackedCacheWriter>> PackedCacheWriter::Create(const std::string& path,
                                                                     const PackedCacheKey& key) {
  std::error_code ec;
  fs::create_directories(fs::path(path).parent_path(), ec);  // Create says why, if this failed
  RemoveAbandoned(path);
  TERN_ASSIGN_OR_RETURN(auto file, OutputFile::Create(path));
  std::unique_ptr<PackedCacheWriter> writer(new PackedCacheWriter(std::move(file), key));
  std::string head(kHeadMagic);
  Put(head, kVersion);
  Put(head, uint32_t{0});
  TERN_TRY(writer->Append(AsBytes(head)));
  return writer;
}

PackedCacheWriter::PackedCacheWriter(std::unique_ptr<OutputFile> file, const PackedCacheKey& key)
    : file_(std::move(file)) {
  PutText(key_, key.source);
  PutText(key_, key.layout);
}

Status PackedCacheWriter::Append(std::span<const std::byte> bytes) {
  offset_ += bytes.size();
  return file_->Write(bytes);
}

Status PackedCacheWriter::Add(std::string_view name, const CachedBlob& blob) {
  static constexpr std::array<std::byte, kBlobAlignment> kZeros{};
  TERN_TRY(Append(std::span(kZeros).first(AlignUp(offset_, kBlobAlignment) - offset_)));
  PutText(table_, name);
  Put(table_, blob.rows);
  Put(table_, blob.cols);
  Put(table_, blob.group);
  Put(table_, offset_);
  Put(table_, uint64_t{blob.bytes.size()});
  Put(table_, Digest(blob.bytes));
  ++count_;
  return Append(blob.bytes);
}

Status PackedCacheWriter::Commit() {
  std::string table = key_;
  Put(table, count_);
  table += table_;
  std::string footer;
  Put(footer, offset_);
  Put(footer, uint64_t{table.size()});
  Put(footer, Digest(table));
  Put(footer, offset_ + table.size() + kFooterBytes);
  footer += kEndMagic;
  TERN_TRY(Append(AsBytes(table)));
  TERN_TRY(Append(AsBytes(footer)));
  return file_->Commit();
}

std::string PackedCachePath(const std::string& folder, const std::string& model,
                            const std::string& layout) {
  constexpr size_t kMostOfName = 80;
  std::error_code ec;
  const fs::path full = fs::weakly_canonical(model, ec);
  std::string name = (full.has_filename() ? full : full.parent_path()).filename().string();
  name.resize(std::min(name.size(), kMostOfName));
  const uint64_t digest = Digest(full.string() + '\n' + layout);
  return (fs::path(folder) / fmt::format("{}-{:016x}.packed", name, digest)).string();
}

}  // namespace tern
