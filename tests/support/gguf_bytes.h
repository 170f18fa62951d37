// A naive builder of GGUF bytes, right or wrong, independent of the writer in src/formats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "platform/mapped_file.h"
#include "support/golden.h"

namespace tern::test {

inline std::string Le(uint64_t value, size_t bytes) {
  std::string out;
  for (size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 255);
  return out;
}
inline std::string U32(uint32_t value) { return Le(value, 4); }
inline std::string U64(uint64_t value) { return Le(value, 8); }
inline std::string Str(const std::string& text) { return U64(text.size()) + text; }

/// Key, type and value of metadata. Values are given as bytes.
inline std::string KeyValue(const std::string& key, uint32_t type, const std::string& value) {
  return Str(key) + U32(type) + value;
}

struct RawTensor {
  std::string name;
  std::vector<uint64_t> dims;  // ne0 first
  uint32_t type = 0;
  std::string data;
};

/// A version 3 file with the tensors in order, each at the next multiple of 32, padded after the
/// last one too.
struct RawGguf {
  std::vector<std::string> key_values = {KeyValue("general.architecture", 8, Str("x"))};
  std::vector<RawTensor> tensors;

  std::string Header() const {
    std::string out = "GGUF" + U32(3) + U64(tensors.size()) + U64(key_values.size());
    for (const std::string& kv : key_values) out += kv;
    uint64_t offset = 0;
    for (const RawTensor& t : tensors) {
      out += Str(t.name) + U32(static_cast<uint32_t>(t.dims.size()));
      for (const uint64_t dim : t.dims) out += U64(dim);
      out += U32(t.type) + U64(offset);
      offset += (t.data.size() + 31) / 32 * 32;
    }
    out.resize((out.size() + 31) / 32 * 32);
    return out;
  }

  std::string File() const {
    std::string out = Header();
    for (const RawTensor& t : tensors) {
      out += t.data;
      out.resize((out.size() + 31) / 32 * 32);
    }
    return out;
  }
};

/// Replaces the offset field of the tensor with this name.
inline std::string WithOffset(std::string file, const std::string& name, uint64_t offset) {
  const size_t at = file.find(Str(name)) + 8 + name.size();
  const auto n_dims = static_cast<size_t>(file[at]);
  file.replace(at + 4 + 8 * n_dims + 4, 8, U64(offset));
  return file;
}

inline Result<std::unique_ptr<WeightSource>> OpenBytes(const std::string& file,
                                                       I2sLayout layout = I2sLayout::kX86) {
  return OpenGguf(MappedFile::FromBytes("test.gguf", Bytes(file)), SourceOptions{layout});
}

/// The message of an error, or "" when there is none.
template <class T>
std::string MessageOf(const Result<T>& result) {
  return result ? "" : result.error().message;
}

inline std::string TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace tern::test
