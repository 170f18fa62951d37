#include "formats/gguf_header.h"

#include <bit>
#include <limits>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "base/bytes.h"
#include "base/math.h"
#include "formats/gguf_values.h"
#include "formats/printable.h"

namespace tern {
namespace {

constexpr std::string_view kMagic = "GGUF";
// The smallest possible entries, to judge counts by: empty strings and one-byte values.
constexpr uint64_t kMinKeyValueBytes = 8 + 4 + 1;
constexpr uint64_t kMinTensorBytes = 8 + 4 + 4 + 8;
constexpr std::string_view kAlignmentKey = "general.alignment";

std::string_view Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Status CheckVersion(uint32_t version) {
  if (version == 2 || version == 3) return {};
  if (version != 0 && (version & 0xffffu) == 0)
    return Fail(Code::kUnsupported,
                "found version {:#010x}, which looks like a big-endian file; tern reads "
                "little-endian GGUF only, convert the model again for such machines",
                version);
  return Fail(Code::kUnsupported, "found GGUF version {}, expected 2 or 3{}", version,
              version < 2 ? "; convert the model again" : "");
}

Status CheckCount(std::string_view what, uint64_t count, uint64_t min_bytes, uint64_t left) {
  if (count <= left / min_bytes) return {};
  return Fail(Code::kCorrupt, "found a count of {} {}, but only {} bytes follow", count, what,
              left);
}

Result<uint64_t> ReadAlignment(GgufReader& reader, GgufValueType type) {
  if (type != GgufValueType::kU32)
    return Fail(Code::kCorrupt, "'{}' has value type {}, expected {} (u32)", kAlignmentKey,
                static_cast<uint32_t>(type), static_cast<uint32_t>(GgufValueType::kU32));
  TERN_ASSIGN_OR_RETURN(const auto alignment, reader.Read<uint32_t>(kAlignmentKey));
  if (!std::has_single_bit(alignment))
    return Fail(Code::kCorrupt, "'{}' is {}, expected a power of two", kAlignmentKey, alignment);
  return alignment;
}

Status ReadKeyValue(GgufReader& reader, GgufHeader& header) {
  TERN_ASSIGN_OR_RETURN(std::string key, reader.String("a metadata key"));
  if (key.empty()) return Fail(Code::kCorrupt, "found an empty metadata key");
  const std::string shown = Printable(key);
  if (header.metadata.Has(key))
    return Fail(Code::kCorrupt, "metadata key '{}' appears twice", shown);
  const std::string what = fmt::format("the value of '{}'", shown);
  TERN_ASSIGN_OR_RETURN(const auto type, reader.Read<uint32_t>(what));
  if (key == kAlignmentKey) {
    TERN_ASSIGN_OR_RETURN(header.alignment, ReadAlignment(reader, GgufValueType{type}));
    header.metadata.Set(std::move(key), static_cast<int64_t>(header.alignment));
    return {};
  }
  TERN_ASSIGN_OR_RETURN(MetaValue value, reader.Value(GgufValueType{type}, what));
  header.metadata.Set(std::move(key), std::move(value));
  return {};
}

Result<std::vector<int64_t>> ReadDims(GgufReader& reader) {
  TERN_ASSIGN_OR_RETURN(const auto n_dims, reader.Read<uint32_t>("its number of dimensions"));
  if (n_dims > kGgufMaxDims)
    return Fail(Code::kCorrupt, "found {} dimensions, expected at most {}", n_dims, kGgufMaxDims);
  std::vector<int64_t> dims(n_dims);
  uint64_t elements = 1;
  for (int64_t& dim : dims) {
    TERN_ASSIGN_OR_RETURN(const auto size, reader.Read<uint64_t>("its dimensions"));
    const auto product = CheckedMul(elements, size);
    if (size == 0 || !product ||
        *product > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return Fail(Code::kCorrupt,
                  "found a dimension of {} after {} elements; sizes must be at "
                  "least 1 and their product below 2^63",
                  size, elements);
    elements = *product;
    dim = static_cast<int64_t>(size);
  }
  return dims;
}

Result<GgufTensor> ReadTensor(GgufReader& reader, uint64_t index, uint64_t alignment) {
  GgufTensor tensor;
  const std::string ordinal = fmt::format("tensor {} of the list", index);
  TERN_ASSIGN_OR_RETURN(tensor.name, reader.String("the name of " + ordinal));
  if (tensor.name.empty() || tensor.name.size() > kGgufMaxNameBytes)
    return Fail(Code::kCorrupt, "{} has a name of {} bytes, expected 1 to {}", ordinal,
                tensor.name.size(), kGgufMaxNameBytes);
  const auto within = [&](Error error) {
    return Within(fmt::format("tensor '{}'", Printable(tensor.name)), std::move(error));
  };
  auto dims = ReadDims(reader);
  if (!dims) return within(std::move(dims.error()));
  tensor.dims = std::move(*dims);
  const auto type = reader.Read<uint32_t>("its type");
  if (!type) return within(type.error());
  tensor.type_id = *type;
  const auto offset = reader.Read<uint64_t>("its offset");
  if (!offset) return within(offset.error());
  tensor.offset = *offset;
  if (tensor.offset % alignment != 0)
    return within({Code::kCorrupt, fmt::format("found data offset {}, expected a multiple of {}",
                                               tensor.offset, alignment)});
  return tensor;
}

}  // namespace

int64_t GgufTensor::rows() const {
  int64_t rows = 1;
  for (size_t i = 1; i < dims.size(); ++i) rows *= dims[i];
  return rows;
}

bool HasGgufMagic(std::span<const std::byte> file) { return Text(file).starts_with(kMagic); }

Result<GgufHeader> ParseGgufHeader(std::span<const std::byte> file) {
  if (!HasGgufMagic(file))
    return Fail(Code::kCorrupt, "not a GGUF file: found first bytes '{}', expected '{}' (\"GGUF\")",
                HexBytes(Text(file), kMagic.size()), HexBytes(kMagic, kMagic.size()));
  GgufReader reader(file);
  reader.Skip(kMagic.size());
  GgufHeader header;
  TERN_ASSIGN_OR_RETURN(header.version, reader.Read<uint32_t>("the version"));
  TERN_TRY(CheckVersion(header.version));
  TERN_ASSIGN_OR_RETURN(const auto n_tensors, reader.Read<uint64_t>("the number of tensors"));
  TERN_ASSIGN_OR_RETURN(const auto n_kv, reader.Read<uint64_t>("the number of metadata keys"));
  TERN_TRY(CheckCount("metadata keys", n_kv, kMinKeyValueBytes, reader.left()));
  TERN_TRY(CheckCount("tensors", n_tensors, kMinTensorBytes, reader.left()));

  for (uint64_t i = 0; i < n_kv; ++i) TERN_TRY(ReadKeyValue(reader, header));

  TERN_TRY(CheckCount("tensors", n_tensors, kMinTensorBytes, reader.left()));
  header.tensors.reserve(n_tensors);
  std::unordered_set<std::string_view> names;  // views into header.tensors, which does not grow
  for (uint64_t i = 0; i < n_tensors; ++i) {
    TERN_ASSIGN_OR_RETURN(GgufTensor tensor, ReadTensor(reader, i, header.alignment));
    header.tensors.push_back(std::move(tensor));
    if (!names.insert(header.tensors.back().name).second)
      return Fail(Code::kCorrupt, "tensor '{}' appears twice",
                  Printable(header.tensors.back().name));
  }
  header.data_offset =
      header.tensors.empty() ? reader.offset() : AlignUp(reader.offset(), header.alignment);
  return header;
}

}  // namespace tern
