// Builds Hugging Face checkpoints for tests: safetensors bytes, and folders of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/float16.h"
#include "platform/mapped_file.h"

namespace tern::test {

/// One tensor to be written.
struct HfTensor {
  std::string name;
  std::string dtype;  // as in the file
  std::vector<int64_t> shape;
  std::string bytes;
};

inline HfTensor F32Tensor(std::string name, std::vector<int64_t> shape,
                          std::span<const float> values) {
  std::string bytes(values.size_bytes(), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return {std::move(name), "F32", std::move(shape), std::move(bytes)};
}

inline HfTensor Bf16Tensor(std::string name, std::vector<int64_t> shape,
                           std::span<const float> values) {
  std::string bytes;
  for (const float value : values) {
    const uint16_t bits = FloatToBf16(value);
    bytes.append(reinterpret_cast<const char*>(&bits), sizeof bits);
  }
  return {std::move(name), "BF16", std::move(shape), std::move(bytes)};
}

inline HfTensor U8Tensor(std::string name, std::vector<int64_t> shape,
                         std::span<const uint8_t> values) {
  return {std::move(name), "U8", std::move(shape), std::string(values.begin(), values.end())};
}

inline std::string ShapeJson(std::span<const int64_t> shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? "," : "") + std::to_string(shape[i]);
  return out + "]";
}

/// A file with this header text (any text) and data.
inline std::string SafetensorsBytes(std::string_view header, std::string_view data) {
  const uint64_t size = header.size();
  std::string out(reinterpret_cast<const char*>(&size), sizeof size);
  return out.append(header).append(data);
}

/// A well-formed file of these tensors.
inline std::string SafetensorsBytes(std::span<const HfTensor> tensors) {
  std::string header = R"({"__metadata__":{"format":"pt"})";
  std::string data;
  for (const HfTensor& t : tensors) {
    header += ",\"" + t.name + "\":{\"dtype\":\"" + t.dtype + "\",\"shape\":" + ShapeJson(t.shape) +
              ",\"data_offsets\":[" + std::to_string(data.size()) + "," +
              std::to_string(data.size() + t.bytes.size()) + "]}";
    data += t.bytes;
  }
  return SafetensorsBytes(header + "}", data);
}

inline std::shared_ptr<const MappedFile> InMemory(const std::string& name, std::string_view bytes) {
  return MappedFile::FromBytes(name, std::as_bytes(std::span(bytes.data(), bytes.size())));
}

/// A folder of its own, removed with everything in it.
class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tern-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempFolder() {
    std::error_code ec;
    std::filesystem::remove_all(path_, ec);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string path() const { return path_.string(); }
  std::string File(std::string_view name) const { return (path_ / name).string(); }
  void Write(std::string_view name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

 private:
  std::filesystem::path path_;
};

}  // namespace tern::test
