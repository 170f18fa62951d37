// The dense types as rows of the table; their blocks are decoded by tensor/dense_matrix.h.
#include "base/math.h"
#include "formats/codecs/rows.h"

namespace tern::codecs {
namespace {

template <DType kType>
Result<uint64_t> ByteSpan(int64_t rows, int64_t cols) {
  TERN_ASSIGN_OR_RETURN(const uint64_t row, RowBytes(kType, cols));
  const auto all = rows > 0 ? CheckedMul(row, static_cast<uint64_t>(rows)) : std::nullopt;
  if (!all)
    return Fail(Code::kInvalidArgument, "{} rows of {} columns are no possible matrix", rows, cols);
  return *all;
}

template <DType kType>
Status Decode(int64_t /*rows*/, int64_t /*cols*/, std::span<const std::byte> bytes,
              std::span<float> out) {
  DecodeRow(kType, bytes.data(), out);
  return {};
}

template <DType kType>
constexpr Codec DenseRow(std::string_view name, std::string_view type_name, uint32_t id,
                         int64_t block_elems) {
  return {name,          type_name, id,     kType, block_elems, ByteSpan<kType>,
          Decode<kType>, nullptr,   nullptr};
}

}  // namespace

constexpr Codec kF32 = DenseRow<DType::kF32>("f32", "F32", 0, 1);
constexpr Codec kF16 = DenseRow<DType::kF16>("f16", "F16", 1, 1);
constexpr Codec kBf16 = DenseRow<DType::kBF16>("bf16", "BF16", 30, 1);
constexpr Codec kQ8 = DenseRow<DType::kQ8_0>("q8_0", "Q8_0", 8, 32);
constexpr Codec kQ4 = DenseRow<DType::kQ4_0>("q4_0", "Q4_0", 2, 32);
constexpr Codec kQ4K = DenseRow<DType::kQ4_K>("q4_k", "Q4_K", 12, 256);
constexpr Codec kQ6K = DenseRow<DType::kQ6_K>("q6_k", "Q6_K", 14, 256);

}  // namespace tern::codecs
