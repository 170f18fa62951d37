// The one canonical form of a ternary matrix. Every file format decodes to it, every backend packs
// from it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace tern {

/// How the scales of a ternary matrix are shared. value(r, c) = q(r, c) * scale.
enum class ScaleKind : uint8_t { kTensor, kRow, kGroup };

struct ScaleSpec {
  ScaleKind kind = ScaleKind::kTensor;
  int64_t group = 0;          // kGroup: columns that share a scale; divides cols
  std::vector<float> values;  // kTensor: (1); kRow: (rows); kGroup: (rows, cols / group)

  static ScaleSpec Tensor(float scale) { return {ScaleKind::kTensor, 0, {scale}}; }
};

/// Host matrix of -1, 0, +1, shape (rows, cols) = (outputs, inputs), with its scales.
/// Storage: 2-bit codes q+1 in 0..2, row-major, element c of a row in byte c/4 at bits 2*(c%4);
/// rows start at byte borders; unused bits of a row's last byte are 1 (q = 0). Thread rule:
/// immutable once built.
class TernaryMatrix {
 public:
  TernaryMatrix() = default;

  /// Errors: kInvalidArgument for sizes that don't agree, a value outside -1..1, a scale that is
  /// not finite.
  static Result<TernaryMatrix> FromValues(int64_t rows, int64_t cols, std::span<const int8_t> q,
                                          ScaleSpec scale);
  /// Takes codes already in the storage above, size rows * RowBytes(cols); unused bits may have any
  /// value and are set. A code of 3 is kCorrupt
  /// (the message names row and column).
  static Result<TernaryMatrix> FromCodes(int64_t rows, int64_t cols, std::vector<uint8_t> codes,
                                         ScaleSpec scale);

  static size_t RowBytes(int64_t cols) { return static_cast<size_t>((cols + 3) / 4); }

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  const ScaleSpec& scale() const { return scale_; }
  /// Storage codes of one row, RowBytes(cols) bytes.
  std::span<const uint8_t> RowCodes(int64_t r) const {
    const size_t n = RowBytes(cols_);
    return {codes_.data() + static_cast<size_t>(r) * n, n};
  }

  /// One value, -1, 0 or +1. Slow: for tests and repackers.
  int8_t At(int64_t r, int64_t c) const;
  /// The scale that value (r, c) is multiplied by.
  float ScaleAt(int64_t r, int64_t c) const;
  /// Values of one row; out.size() == cols.
  void UnpackRow(int64_t r, std::span<int8_t> out) const;
  /// q * scale of one row; out.size() == cols.
  void DequantizeRow(int64_t r, std::span<float> out) const;

  /// The same matrix with every scale multiplied by a factor (a projection's `.scale` tensor).
  void MultiplyScales(float factor);

 private:
  int64_t rows_ = 0, cols_ = 0;
  std::vector<uint8_t> codes_;
  ScaleSpec scale_;
};

/// Codes 0..3, one in each byte, -> the storage above; out holds
/// TernaryMatrix::RowBytes(codes.size()) bytes. A code of 3 is kept, for FromCodes to find.
void PackCodes(std::span<const uint8_t> codes, uint8_t* out);

}  // namespace tern
