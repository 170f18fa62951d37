// Dense matrices in the types that files keep them in, and their decoding to float.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"

namespace tern {

/// Types of dense tensors: plain floats and the block types that embeddings and heads come in.
enum class DType : uint8_t { kF32, kF16, kBF16, kQ8_0, kQ4_0, kQ4_K, kQ6_K };

struct DTypeInfo {
  std::string_view name;  // as users write it: "f16", "q6_k"
  int64_t block_elems;    // a row is a multiple of this
  int64_t block_bytes;
};

const DTypeInfo& Info(DType type);
/// The type with this name, case-insensitive.
std::optional<DType> ParseDType(std::string_view name);

/// Bytes of one row of `cols` elements; kInvalidArgument when cols is not a multiple of the block.
Result<uint64_t> RowBytes(DType type, int64_t cols);

/// Decodes elements [0, out.size()) of packed blocks; out.size() is a multiple of the block.
/// `bytes` holds at least the blocks needed. Layouts: docs/formats.md.
void DecodeRow(DType type, const std::byte* bytes, std::span<float> out);

/// Encodes as upstream ggml's reference quantisers do (byte-identical), for types tern writes: F32
/// F16 BF16 Q8_0 Q6_K. in.size() is a multiple of the block; out has the exact size.
Status EncodeRow(DType type, std::span<const float> in, std::span<std::byte> out);

/// A row-major matrix (rows, cols) in one of the dense types. The bytes live as long as any copy of
/// `owner`.
struct DenseMatrix {
  DType type = DType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;

  const std::byte* Row(int64_t r) const {
    return bytes.data() + static_cast<size_t>(r) * (bytes.size() / static_cast<size_t>(rows));
  }
};

}  // namespace tern
