// Typed values of GGUF metadata, as bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "formats/metadata.h"

namespace tern {

/// Type ids of metadata values.
enum class GgufValueType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

/// Reads a header from front to back; every read is checked against the end of the file first.
class GgufReader {
 public:
  explicit GgufReader(std::span<const std::byte> file) : file_(file) {}

  uint64_t offset() const { return offset_; }
  uint64_t left() const { return file_.size() - offset_; }
  /// The caller has looked at these bytes.
  void Skip(size_t bytes) { offset_ += bytes; }

  /// `what` names the field in the message when the file ends before it.
  template <class T>
  Result<T> Read(std::string_view what) {
    TERN_TRY(Need(sizeof(T), what));
    const T value = LoadLe<T>(file_.data() + offset_);
    offset_ += sizeof(T);
    return value;
  }
  /// A length of 64 bits and that many bytes of any content.
  Result<std::string> String(std::string_view what);
  /// A value of a type that comes from the file: kCorrupt when there is no such type, or an array
  /// of arrays. An array with an element above 2^63-1 comes back as doubles.
  Result<MetaValue> Value(GgufValueType type, std::string_view what);

 private:
  Status Need(uint64_t bytes, std::string_view what) const;
  Result<MetaValue> Array(std::string_view what);
  template <class T>
  MetaValue Numbers(uint64_t count);
  Result<MetaValue> Strings(uint64_t count, std::string_view what);

  std::span<const std::byte> file_;
  size_t offset_ = 0;
};

}  // namespace tern
