#include "backend/cpu/token_table.h"

namespace tern::cpu {
namespace {

size_t Index(int64_t i) { return static_cast<size_t>(i); }

}  // namespace

size_t CpuTable::bytes() const {
  return dense() ? dense()->bytes.size() : Index(rows()) * TernaryMatrix::RowBytes(cols());
}

void CpuTable::DecodeRowTo(int64_t row, std::span<float> out) const {
  if (dense())
    DecodeRow(dense()->type, dense()->Row(row), out);
  else
    ternary().DequantizeRow(row, out);
}

// The types that the dot product reads as they are; the others are decoded first.
const RowType* CpuTable::NativeRowType() const {
  static constexpr RowType kF32 = RowType::kF32, kF16 = RowType::kF16, kBF16 = RowType::kBF16;
  if (!dense()) return nullptr;
  switch (dense()->type) {
    case DType::kF32:
      return &kF32;
    case DType::kF16:
      return &kF16;
    case DType::kBF16:
      return &kBF16;
    default:
      return nullptr;
  }
}

void CpuTable::Logits(FloatView x, const FloatOps& ops, ThreadPool& pool, FloatView logits) const {
  const RowType* native = NativeRowType();
  pool.ParallelFor(Index(rows()), 64, [&](size_t begin, size_t end) {
    std::vector<float> decoded(native ? 0 : Index(x.cols));
    for (auto n = static_cast<int64_t>(begin); n < static_cast<int64_t>(end); ++n) {
      const void* row = decoded.data();
      if (native)
        row = dense()->Row(n);
      else
        DecodeRowTo(n, decoded);
      ops.dot_rows(row, native ? *native : RowType::kF32, x.data, x.stride, x.rows, x.cols,
                   logits.data + n, logits.stride);
    }
  });
}

}  // namespace tern::cpu
