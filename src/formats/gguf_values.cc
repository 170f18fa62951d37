#include "formats/gguf_values.h"

#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/math.h"

namespace tern {
namespace {

constexpr uint64_t kStringLengthBytes = 8;

// Calls visit with a zero of the C++ type of a scalar, or returns false: the type is not a number.
template <class Visit>
bool VisitNumber(GgufValueType type, Visit visit) {
  switch (type) {
    case GgufValueType::kU8:
      return visit(uint8_t{}), true;
    case GgufValueType::kI8:
      return visit(int8_t{}), true;
    case GgufValueType::kU16:
      return visit(uint16_t{}), true;
    case GgufValueType::kI16:
      return visit(int16_t{}), true;
    case GgufValueType::kU32:
      return visit(uint32_t{}), true;
    case GgufValueType::kI32:
      return visit(int32_t{}), true;
    case GgufValueType::kF32:
      return visit(float{}), true;
    case GgufValueType::kU64:
      return visit(uint64_t{}), true;
    case GgufValueType::kI64:
      return visit(int64_t{}), true;
    case GgufValueType::kF64:
      return visit(double{}), true;
    case GgufValueType::kBool:
    case GgufValueType::kString:
    case GgufValueType::kArray:
      break;
  }
  return false;
}

template <class T>
MetaValue ToMeta(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<double>(value);
  } else {
    if constexpr (std::is_same_v<T, uint64_t>)
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return value;
    return static_cast<int64_t>(value);
  }
}

tl::unexpected<Error> UnknownType(std::string_view what, GgufValueType type) {
  return Fail(Code::kCorrupt, "{} has type {}, expected 0 to {}", what, static_cast<uint32_t>(type),
              static_cast<uint32_t>(GgufValueType::kF64));
}

}  // namespace

Status GgufReader::Need(uint64_t bytes, std::string_view what) const {
  if (bytes <= left()) return {};
  return Fail(Code::kCorrupt,
              "the file is cut: {} needs {} bytes at offset {}, the file ends at {}", what, bytes,
              offset_, file_.size());
}

Result<std::string> GgufReader::String(std::string_view what) {
  TERN_ASSIGN_OR_RETURN(const auto length, Read<uint64_t>(what));
  TERN_TRY(Need(length, what));
  std::string text(reinterpret_cast<const char*>(file_.data() + offset_), length);
  offset_ += length;
  return text;
}

template <class T>
MetaValue GgufReader::Numbers(uint64_t count) {
  using Kept = std::conditional_t<std::is_floating_point_v<T>, double, int64_t>;
  const std::byte* from = file_.data() + offset_;
  offset_ += count * sizeof(T);
  if constexpr (std::is_same_v<T, uint64_t>) {
    for (uint64_t i = 0; i < count; ++i) {
      if (LoadLe<uint64_t>(from + 8 * i) >> 63 == 0) continue;
      std::vector<double> values(count);
      for (uint64_t k = 0; k < count; ++k)
        values[k] = static_cast<double>(LoadLe<uint64_t>(from + 8 * k));
      return values;
    }
  }
  std::vector<Kept> values(count);
  for (uint64_t i = 0; i < count; ++i)
    values[i] = static_cast<Kept>(LoadLe<T>(from + i * sizeof(T)));
  return values;
}

Result<MetaValue> GgufReader::Strings(uint64_t count, std::string_view what) {
  const auto bytes = CheckedMul(count, kStringLengthBytes);
  TERN_TRY(Need(bytes.value_or(std::numeric_limits<uint64_t>::max()), what));
  std::vector<std::string> texts;
  texts.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    TERN_ASSIGN_OR_RETURN(std::string text, String(what));
    texts.push_back(std::move(text));
  }
  return texts;
}

Result<MetaValue> GgufReader::Array(std::string_view what) {
  TERN_ASSIGN_OR_RETURN(const auto type_id, Read<uint32_t>(what));
  TERN_ASSIGN_OR_RETURN(const auto count, Read<uint64_t>(what));
  const GgufValueType type{type_id};
  if (type == GgufValueType::kArray)
    return Fail(Code::kCorrupt, "{} is an array of arrays, which GGUF readers do not accept", what);
  if (type == GgufValueType::kString) return Strings(count, what);
  if (type == GgufValueType::kBool) {
    TERN_TRY(Need(count, what));
    std::vector<bool> values(count);
    for (uint64_t i = 0; i < count; ++i) values[i] = file_[offset_ + i] != std::byte{0};
    offset_ += count;
    return values;
  }
  Result<MetaValue> result = UnknownType(what, type);
  VisitNumber(type, [&]<class T>(T) {
    const auto bytes = CheckedMul(count, sizeof(T));
    const Status enough = Need(bytes.value_or(std::numeric_limits<uint64_t>::max()), what);
    if (enough)
      result = Numbers<T>(count);
    else
      result = tl::unexpected<Error>(enough.error());
  });
  return result;
}

Result<MetaValue> GgufReader::Value(GgufValueType type, std::string_view what) {
  if (type == GgufValueType::kArray) return Array(what);
  if (type == GgufValueType::kString) return String(what);
  if (type == GgufValueType::kBool) {
    TERN_ASSIGN_OR_RETURN(const auto byte, Read<uint8_t>(what));
    return byte != 0;
  }
  Result<MetaValue> result = UnknownType(what, type);
  VisitNumber(type, [&]<class T>(T) {
    const Result<T> value = Read<T>(what);
    if (value)
      result = ToMeta(*value);
    else
      result = tl::unexpected<Error>(value.error());
  });
  return result;
}

}  // namespace tern
