#include "formats/safetensors.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "base/bytes.h"
#include "base/math.h"
#include "formats/hf_json.h"
#include "formats/printable.h"

namespace tern {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// The reference implementation's bound on the header; keeps a parsed header in proportion.
constexpr uint64_t kMaxHeader = 100'000'000;
constexpr size_t kMaxRank = 8;

struct TypeRow {
  std::string_view name;
  SafetensorsType type;
  uint64_t bytes;
};

constexpr std::array<TypeRow, 15> kTypes = {{
    {"BOOL", SafetensorsType::kBool, 1},
    {"U8", SafetensorsType::kU8, 1},
    {"I8", SafetensorsType::kI8, 1},
    {"F8_E5M2", SafetensorsType::kF8E5M2, 1},
    {"F8_E4M3", SafetensorsType::kF8E4M3, 1},
    {"U16", SafetensorsType::kU16, 2},
    {"I16", SafetensorsType::kI16, 2},
    {"F16", SafetensorsType::kF16, 2},
    {"BF16", SafetensorsType::kBF16, 2},
    {"U32", SafetensorsType::kU32, 4},
    {"I32", SafetensorsType::kI32, 4},
    {"F32", SafetensorsType::kF32, 4},
    {"U64", SafetensorsType::kU64, 8},
    {"I64", SafetensorsType::kI64, 8},
    {"F64", SafetensorsType::kF64, 8},
}};

/// An element of "shape" or "data_offsets".
Result<uint64_t> Unsigned(const json& value, std::string_view what) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > INT64_MAX)
    return Fail(Code::kCorrupt, "{} holds {}, expected integers of at least 0", what,
                value.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 80));
  return value.get<uint64_t>();
}

Result<const TypeRow*> ReadType(const json& entry) {
  const auto it = entry.find("dtype");
  if (it == entry.end() || !it->is_string()) return Fail(Code::kCorrupt, "dtype is missing");
  const auto& name = it->get_ref<const std::string&>();
  for (const TypeRow& row : kTypes)
    if (row.name == name) return &row;
  return Fail(Code::kCorrupt, "dtype '{}' is not known", Printable(name));
}

Result<std::vector<int64_t>> ReadShape(const json& entry) {
  const auto it = entry.find("shape");
  if (it == entry.end() || !it->is_array()) return Fail(Code::kCorrupt, "shape is missing");
  if (it->size() > kMaxRank)
    return Fail(Code::kCorrupt, "{} dimensions, expected at most {}", it->size(), kMaxRank);
  std::vector<int64_t> shape;
  for (const json& value : *it) {
    TERN_ASSIGN_OR_RETURN(const uint64_t dim, Unsigned(value, "shape"));
    shape.push_back(static_cast<int64_t>(dim));
  }
  return shape;
}

/// Entry of the header -> tensor; `data` is everything behind the header.
Result<SafetensorsTensor> ReadEntry(const json& entry, std::span<const std::byte> data) {
  if (!entry.is_object()) return Fail(Code::kCorrupt, "the entry is not an object");
  SafetensorsTensor tensor;
  TERN_ASSIGN_OR_RETURN(const TypeRow* type, ReadType(entry));
  tensor.type = type->type;
  TERN_ASSIGN_OR_RETURN(tensor.shape, ReadShape(entry));
  const auto offsets = entry.find("data_offsets");
  if (offsets == entry.end() || !offsets->is_array() || offsets->size() != 2)
    return Fail(Code::kCorrupt, "data_offsets is missing or not a pair");
  TERN_ASSIGN_OR_RETURN(const uint64_t begin, Unsigned((*offsets)[0], "data_offsets"));
  TERN_ASSIGN_OR_RETURN(const uint64_t end, Unsigned((*offsets)[1], "data_offsets"));
  if (begin > end || end > data.size())
    return Fail(Code::kCorrupt, "data_offsets [{}, {}] outside the {} bytes of data", begin, end,
                data.size());
  std::optional<uint64_t> expected = type->bytes;
  for (const int64_t dim : tensor.shape)
    if (expected) expected = CheckedMul(*expected, static_cast<uint64_t>(dim));
  if (!expected || *expected != end - begin)
    return Fail(Code::kCorrupt, "{} {} needs {} bytes, data_offsets span {}", type->name,
                ShapeText(tensor.shape), expected ? std::to_string(*expected) : "more than 2^64",
                end - begin);
  tensor.bytes = data.subspan(begin, end - begin);
  return tensor;
}

/// The spans, in order, must cover the data exactly.
Status CheckTiling(std::span<const SafetensorsTensor> tensors, uint64_t data_start, uint64_t size) {
  uint64_t at = data_start;
  for (const SafetensorsTensor& tensor : tensors) {
    if (tensor.offset != at)
      return Fail(Code::kCorrupt, "tensor '{}' begins at byte {} of the data, expected {}: {}",
                  Printable(tensor.name), tensor.offset - data_start, at - data_start,
                  tensor.offset < at ? "it overlaps its neighbour" : "there is a hole before it");
    at += tensor.bytes.size();
  }
  if (at != size)
    return Fail(Code::kCorrupt, "{} bytes after the last tensor, expected none", size - at);
  return {};
}

Result<std::vector<SafetensorsTensor>> OpenFile(const fs::path& path) {
  TERN_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path.string()));
  return ParseSafetensors(file);
}

Result<std::vector<SafetensorsTensor>> OpenShards(const fs::path& folder, const fs::path& index) {
  TERN_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(index.string()));
  const auto bytes = file->bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  TERN_ASSIGN_OR_RETURN(const auto weight_map, ParseShardIndex(text, index.string()));

  std::set<std::string> shards;
  for (const auto& [tensor, shard] : weight_map) shards.insert(shard);
  std::vector<SafetensorsTensor> all;
  std::map<std::string_view, std::string> found;  // tensor -> path of its shard
  for (const std::string& shard : shards) {
    auto tensors = OpenFile(folder / shard);
    if (!tensors) return Within(index.string(), tensors.error());
    std::move(tensors->begin(), tensors->end(), std::back_inserter(all));
  }
  for (const SafetensorsTensor& tensor : all)
    if (!found.emplace(tensor.name, fs::path(tensor.file->path()).filename()).second)
      return Fail(Code::kCorrupt, "{}: tensor '{}' is in more than one shard", index.string(),
                  Printable(tensor.name));
  for (const auto& [tensor, shard] : weight_map) {
    const auto it = found.find(tensor);
    if (it == found.end() || it->second != shard)
      return Fail(Code::kCorrupt, "{}: tensor '{}' should be in {}, but is {}", index.string(),
                  Printable(tensor), Printable(shard),
                  it == found.end() ? "in no shard" : "in " + it->second);
  }
  return all;
}

}  // namespace

std::string_view Name(SafetensorsType type) {
  for (const TypeRow& row : kTypes)
    if (row.type == type) return row.name;
  return "unknown";
}

std::string ShapeText(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

Result<std::vector<SafetensorsTensor>> ParseSafetensors(
    const std::shared_ptr<const MappedFile>& file) {
  const std::span<const std::byte> bytes = file->bytes();
  constexpr uint64_t kPrefix = 8;
  if (bytes.size() < kPrefix)
    return Fail(Code::kCorrupt, "{}: {} bytes, too short for a safetensors file", file->path(),
                bytes.size());
  const auto header = LoadLe<uint64_t>(bytes.data());
  if (header > bytes.size() - kPrefix || header > kMaxHeader)
    return Fail(Code::kCorrupt, "{}: header of {} bytes in a file of {} (limit {})", file->path(),
                header, bytes.size(), kMaxHeader);
  const uint64_t data_start = kPrefix + header;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kPrefix, header);
  TERN_ASSIGN_OR_RETURN(const json document, ParseJson(text, file->path() + ": header"));
  if (!document.is_object())
    return Fail(Code::kCorrupt, "{}: header: expected a JSON object", file->path());

  std::vector<SafetensorsTensor> tensors;
  for (const auto& [name, entry] : document.items()) {
    if (name == "__metadata__") continue;
    auto tensor = ReadEntry(entry, bytes.subspan(data_start));
    if (!tensor)
      return Within(fmt::format("{}: tensor '{}'", file->path(), Printable(name)), tensor.error());
    tensor->name = name;
    tensor->offset = static_cast<uint64_t>(tensor->bytes.data() - bytes.data());
    tensor->file = file;
    tensors.push_back(std::move(*tensor));
  }
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return std::pair(a.offset, a.bytes.size()) < std::pair(b.offset, b.bytes.size());
  });
  if (auto status = CheckTiling(tensors, data_start, bytes.size()); !status)
    return Within(file->path(), status.error());
  return tensors;
}

Result<std::map<std::string, std::string>> ParseShardIndex(std::string_view text,
                                                           const std::string& file) {
  TERN_ASSIGN_OR_RETURN(const json document, ParseJson(text, file));
  TERN_ASSIGN_OR_RETURN(const auto fields, JsonFields::Of(document, file, ""));
  TERN_ASSIGN_OR_RETURN(const auto map, fields.Object("weight_map"));
  std::map<std::string, std::string> weight_map;
  for (const auto& [tensor, value] : fields.Find("weight_map")->items()) {
    TERN_ASSIGN_OR_RETURN(const std::string shard, map.String(tensor));
    const bool plain = !shard.empty() && shard != "." && shard != ".." &&
                       shard.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
    if (!plain)
      return Fail(Code::kCorrupt, "{}: found '{}', expected the name of a file in this folder",
                  map.Where(tensor), Printable(shard));
    weight_map.emplace(tensor, shard);
  }
  if (weight_map.empty()) return Fail(Code::kCorrupt, "{}: weight_map is empty", file);
  return weight_map;
}

Result<std::vector<SafetensorsTensor>> OpenSafetensorsFolder(const std::string& folder) {
  const fs::path base(folder);
  std::error_code ec;
  if (fs::exists(base / "model.safetensors", ec)) return OpenFile(base / "model.safetensors");
  const fs::path index = base / "model.safetensors.index.json";
  if (fs::exists(index, ec)) return OpenShards(base, index);
  return Fail(Code::kNotFound, "{}: neither model.safetensors nor model.safetensors.index.json",
              folder);
}

}  // namespace tern
