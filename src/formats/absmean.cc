#include "formats/absmean.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

namespace tern {
namespace {

Status CheckFinite(int64_t row, std::span<const float> values) {
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  if (bad == values.end()) return {};
  return Fail(Code::kCorrupt, "row {}, column {}: {} is not a finite number", row,
              bad - values.begin(), *bad);
}

uint32_t MagnitudeBits(float value) { return std::bit_cast<uint32_t>(value) & 0x7fffffffu; }

/// The one magnitude of a group, 0 when all values are; nothing when there are several.
std::optional<float> Magnitude(std::span<const float> group) {
  // If there is one magnitude, it is the union of all bits. Integers, because these loops
  // vectorise.
  uint32_t all = 0;
  for (const float value : group) all |= MagnitudeBits(value);
  bool one = true;
  for (const float value : group) {
    const uint32_t bits = MagnitudeBits(value);
    one &= (bits == 0) | (bits == all);
  }
  return one ? std::optional<float>(std::bit_cast<float>(all)) : std::nullopt;
}

}  // namespace

Result<TernaryMatrix> CodeBySign(int64_t rows, int64_t cols, const RowReader& read, float factor,
                                 float threshold, ScaleSpec scale) {
  const size_t row_bytes = TernaryMatrix::RowBytes(cols);
  std::vector<float> row(static_cast<size_t>(cols));
  std::vector<uint8_t> row_codes(static_cast<size_t>(cols));
  std::vector<uint8_t> codes(static_cast<size_t>(rows) * row_bytes);
  for (int64_t r = 0; r < rows; ++r) {
    read(r, row);
    for (size_t c = 0; c < row.size(); ++c) {
      const float x = row[c] * factor;
      row_codes[c] = static_cast<uint8_t>(1 + (x > threshold ? 1 : 0) - (x < -threshold ? 1 : 0));
    }
    PackCodes(row_codes, codes.data() + static_cast<size_t>(r) * row_bytes);
  }
  return TernaryMatrix::FromCodes(rows, cols, std::move(codes), std::move(scale));
}

Result<TernaryMatrix> QuantizeAbsmean(int64_t rows, int64_t cols, const RowReader& read) {
  std::vector<float> row(static_cast<size_t>(cols));
  double sum = 0;
  for (int64_t r = 0; r < rows; ++r) {
    read(r, row);
    for (const float w : row) sum += std::abs(w);
    // Infinity and NaN stay in the sum: only then is the row worth a second look.
    if (!std::isfinite(sum)) TERN_TRY(CheckFinite(r, row));
  }
  const auto mean =
      static_cast<float>(sum / (static_cast<double>(rows) * static_cast<double>(cols)));
  const float s = 1.0f / std::max(mean, 1e-5f);
  // clamp(round_half_even(w * s), -1, 1): a half rounds to the even 0.
  return CodeBySign(rows, cols, read, s, 0.5f, ScaleSpec::Tensor(1.0f / s));
}

Result<TernaryMatrix> RecognizeTernary(int64_t rows, int64_t cols, int64_t group,
                                       const RowReader& read) {
  std::vector<float> row(static_cast<size_t>(cols));
  ScaleSpec scale{ScaleKind::kGroup, group, {}};
  for (int64_t r = 0; r < rows; ++r) {
    read(r, row);
    for (int64_t begin = 0; begin < cols; begin += group) {
      const auto values =
          std::span(row).subspan(static_cast<size_t>(begin), static_cast<size_t>(group));
      const std::optional<float> d = Magnitude(values);
      if (!d || !std::isfinite(*d)) {
        TERN_TRY(CheckFinite(r, row));
        return Fail(Code::kUnsupported, "row {}, columns {} to {} are not all -d, 0 or +d of one d",
                    r, begin, begin + group - 1);
      }
      scale.values.push_back(*d);
    }
  }
  return CodeBySign(rows, cols, read, 1.0f, 0.0f, std::move(scale));
}

}  // namespace tern
