#include "tensor/ternary_matrix.h"

#include <cmath>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/math.h"

namespace tern {
namespace {

constexpr int kPerByte = 4;
constexpr uint8_t kZeroCodes = 0x55;  // four codes of q = 0

// Bit 2i is set where code i of the byte is 3.
constexpr unsigned Threes(unsigned byte) { return byte & (byte >> 1) & 0x55u; }

uint8_t CodeAt(std::span<const uint8_t> row, int64_t c) {
  return (row[static_cast<size_t>(c / kPerByte)] >> (2 * (c % kPerByte))) & 3u;
}

Status CheckShape(int64_t rows, int64_t cols) {
  if (rows <= 0 || cols <= 0)
    return Fail(Code::kInvalidArgument, "a matrix of {} x {} values has no elements", rows, cols);
  if (!CheckedMul(static_cast<uint64_t>(rows), static_cast<uint64_t>(cols)))
    return Fail(Code::kInvalidArgument, "a matrix of {} x {} values is too large", rows, cols);
  return {};
}

Status CheckScale(int64_t rows, int64_t cols, const ScaleSpec& scale, Code not_finite) {
  int64_t per_row = 1;
  uint64_t expected = 1;
  if (scale.kind == ScaleKind::kRow) expected = static_cast<uint64_t>(rows);
  if (scale.kind == ScaleKind::kGroup) {
    if (scale.group <= 0 || cols % scale.group != 0)
      return Fail(Code::kInvalidArgument, "groups of {} columns do not divide {} columns",
                  scale.group, cols);
    per_row = cols / scale.group;
    expected = static_cast<uint64_t>(rows) * static_cast<uint64_t>(per_row);
  }
  if (scale.values.size() != expected)
    return Fail(Code::kInvalidArgument, "found {} scales, expected {}", scale.values.size(),
                expected);
  for (size_t i = 0; i < scale.values.size(); ++i) {
    if (std::isfinite(scale.values[i])) continue;
    if (scale.kind == ScaleKind::kTensor)
      return Fail(not_finite, "the scale is {}, expected a finite number", scale.values[i]);
    const auto at = static_cast<int64_t>(i);
    return Fail(not_finite, "the scale at row {}, column {} is {}, expected a finite number",
                at / per_row, scale.kind == ScaleKind::kRow ? 0 : at % per_row * scale.group,
                scale.values[i]);
  }
  return {};
}

// Column of the first code 3 in a row, or cols when there is none.
int64_t FindThree(std::span<const uint8_t> row, int64_t cols) {
  size_t i = 0;
  for (; i + 8 <= row.size(); i += 8) {
    const auto word = LoadLe<uint64_t>(row.data() + i);
    if ((word & (word >> 1) & 0x5555555555555555u) != 0) break;
  }
  for (; i < row.size(); ++i)
    if (Threes(row[i]) != 0) break;
  for (int64_t c = static_cast<int64_t>(i) * kPerByte; c < cols; ++c)
    if (CodeAt(row, c) == 3) return c;
  return cols;
}

}  // namespace

void PackCodes(std::span<const uint8_t> codes, uint8_t* out) {
  size_t i = 0;
  for (; i + kPerByte <= codes.size(); i += kPerByte)
    *out++ =
        static_cast<uint8_t>(codes[i] | codes[i + 1] << 2 | codes[i + 2] << 4 | codes[i + 3] << 6);
  if (i == codes.size()) return;
  unsigned last = kZeroCodes;
  for (unsigned shift = 0; i < codes.size(); ++i, shift += 2)
    last = (last & ~(3u << shift)) | static_cast<unsigned>(codes[i]) << shift;
  *out = static_cast<uint8_t>(last);
}

Result<TernaryMatrix> TernaryMatrix::FromValues(int64_t rows, int64_t cols,
                                                std::span<const int8_t> q, ScaleSpec scale) {
  TERN_TRY(CheckShape(rows, cols));
  if (q.size() != static_cast<uint64_t>(rows) * static_cast<uint64_t>(cols))
    return Fail(Code::kInvalidArgument, "found {} values, expected {} x {}", q.size(), rows, cols);
  TERN_TRY(CheckScale(rows, cols, scale, Code::kInvalidArgument));
  TernaryMatrix m;
  m.rows_ = rows;
  m.cols_ = cols;
  m.scale_ = std::move(scale);
  const size_t row_bytes = RowBytes(cols);
  m.codes_.resize(static_cast<size_t>(rows) * row_bytes);
  std::vector<uint8_t> codes(static_cast<size_t>(cols));
  for (int64_t r = 0; r < rows; ++r) {
    const int8_t* row = q.data() + r * cols;
    for (int64_t c = 0; c < cols; ++c) {
      if (row[c] < -1 || row[c] > 1)
        return Fail(Code::kInvalidArgument, "row {}, column {} holds {}, expected -1, 0 or +1", r,
                    c, row[c]);
      codes[static_cast<size_t>(c)] = static_cast<uint8_t>(row[c] + 1);
    }
    PackCodes(codes, m.codes_.data() + static_cast<size_t>(r) * row_bytes);
  }
  return m;
}

Result<TernaryMatrix> TernaryMatrix::FromCodes(int64_t rows, int64_t cols,
                                               std::vector<uint8_t> codes, ScaleSpec scale) {
  TERN_TRY(CheckShape(rows, cols));
  const size_t row_bytes = RowBytes(cols);
  if (codes.size() != static_cast<uint64_t>(rows) * row_bytes)
    return Fail(Code::kInvalidArgument, "found {} bytes of codes, expected {} rows of {}",
                codes.size(), rows, row_bytes);
  TERN_TRY(CheckScale(rows, cols, scale, Code::kCorrupt));
  const auto used = static_cast<unsigned>(cols % kPerByte) * 2;
  for (int64_t r = 0; r < rows; ++r) {
    const std::span<uint8_t> row(codes.data() + static_cast<size_t>(r) * row_bytes, row_bytes);
    if (used != 0) {
      const unsigned mask = (1u << used) - 1u;
      row.back() = static_cast<uint8_t>((row.back() & mask) | (kZeroCodes & ~mask));
    }
    if (const int64_t c = FindThree(row, cols); c < cols)
      return Fail(Code::kCorrupt, "row {}, column {} holds code 3, expected 0, 1 or 2", r, c);
  }
  TernaryMatrix m;
  m.rows_ = rows;
  m.cols_ = cols;
  m.codes_ = std::move(codes);
  m.scale_ = std::move(scale);
  return m;
}

int8_t TernaryMatrix::At(int64_t r, int64_t c) const {
  TERN_DCHECK(r >= 0 && r < rows_ && c >= 0 && c < cols_);
  return static_cast<int8_t>(CodeAt(RowCodes(r), c) - 1);
}

float TernaryMatrix::ScaleAt(int64_t r, int64_t c) const {
  TERN_DCHECK(r >= 0 && r < rows_ && c >= 0 && c < cols_);
  switch (scale_.kind) {
    case ScaleKind::kTensor:
      return scale_.values[0];
    case ScaleKind::kRow:
      return scale_.values[static_cast<size_t>(r)];
    case ScaleKind::kGroup:
      break;
  }
  return scale_.values[static_cast<size_t>(r * (cols_ / scale_.group) + c / scale_.group)];
}

void TernaryMatrix::UnpackRow(int64_t r, std::span<int8_t> out) const {
  TERN_DCHECK(static_cast<int64_t>(out.size()) == cols_);
  const std::span<const uint8_t> row = RowCodes(r);
  size_t c = 0;
  for (; c + kPerByte <= out.size(); c += kPerByte) {
    const unsigned byte = row[c / kPerByte];
    out[c] = static_cast<int8_t>((byte & 3u) - 1u);
    out[c + 1] = static_cast<int8_t>((byte >> 2 & 3u) - 1u);
    out[c + 2] = static_cast<int8_t>((byte >> 4 & 3u) - 1u);
    out[c + 3] = static_cast<int8_t>((byte >> 6) - 1u);
  }
  for (; c < out.size(); ++c)
    out[c] = static_cast<int8_t>(CodeAt(row, static_cast<int64_t>(c)) - 1);
}

void TernaryMatrix::DequantizeRow(int64_t r, std::span<float> out) const {
  TERN_DCHECK(static_cast<int64_t>(out.size()) == cols_);
  const std::span<const uint8_t> row = RowCodes(r);
  const int64_t step = scale_.kind == ScaleKind::kGroup ? scale_.group : cols_;
  for (int64_t begin = 0; begin < cols_; begin += step) {
    const float d = ScaleAt(r, begin);
    for (int64_t c = begin; c < begin + step; ++c)
      out[static_cast<size_t>(c)] = d * static_cast<float>(CodeAt(row, c) - 1);
  }
}

void TernaryMatrix::MultiplyScales(float factor) {
  for (float& scale : scale_.values) scale *= factor;
}

}  // namespace tern
