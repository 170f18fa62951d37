// The safetensors container: one file, or the shards that an index names.
//
// Layout: u64 header length N; N bytes of JSON, name -> {"dtype", "shape", "data_offsets": [begin,
// end)}, offsets relative to byte 8 + N; then the data, which the tensors tile without holes.
// "__metadata__" is a map of strings. Format: https://github.com/huggingface/safetensors#format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "platform/mapped_file.h"

namespace tern {

enum class SafetensorsType : uint8_t {
  kBool,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kU16,
  kI16,
  kF16,
  kBF16,
  kU32,
  kI32,
  kF32,
  kU64,
  kI64,
  kF64
};

/// The name in the file, e.g. "BF16".
std::string_view Name(SafetensorsType type);

/// One tensor. Its bytes are those of the file (no alignment is promised) and live as long as
/// `file`.
struct SafetensorsTensor {
  std::string name;
  SafetensorsType type = SafetensorsType::kF32;
  std::vector<int64_t> shape;        // outermost first; empty for a scalar
  std::span<const std::byte> bytes;  // exactly product of shape * size of type
  uint64_t offset = 0;               // of the bytes, from the beginning of the file
  std::shared_ptr<const MappedFile> file;
};

/// "[64, 768]", for messages.
std::string ShapeText(std::span<const int64_t> shape);

/// All tensors of one file, in the order of their data. kCorrupt for anything that contradicts the
/// format: a header length outside the file, JSON that is broken or names a tensor twice, an
/// unknown dtype, a span that is not the product of the shape, spans with a hole or an overlap or
/// outside the file. Nothing is allocated on the word of the header alone.
Result<std::vector<SafetensorsTensor>> ParseSafetensors(
    const std::shared_ptr<const MappedFile>& file);

/// The "weight_map" of a model.safetensors.index.json: tensor -> shard. kCorrupt for a shard name
/// that is not a plain file name (shards lie beside their index and nowhere else).
Result<std::map<std::string, std::string>> ParseShardIndex(std::string_view json,
                                                           const std::string& file);

/// The tensors of a folder: model.safetensors if it is there, else the shards of
/// model.safetensors.index.json. kNotFound when neither exists or a shard is missing; kCorrupt when
/// a shard lacks a tensor that the index puts there, or two shards hold the same tensor.
Result<std::vector<SafetensorsTensor>> OpenSafetensorsFolder(const std::string& folder);

}  // namespace tern
