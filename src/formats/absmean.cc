#include "formats/absmean.h"

#include <algorithm>
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

/// +1 above the threshold, -1 below its negative, else 0.
int8_t Sign(float x, float threshold) {
  return static_cast<int8_t>((x > threshold ? 1 : 0) - (x < -threshold ? 1 : 0));
}

/// The one magnitude of a group, 0 when all values are; nothing when there are several.
std::optional<float> Magnitude(std::span<const float> group) {
  float magnitude = 0;
  for (const float value : group) {
    const float size = std::abs(value);
    if (size == 0) continue;
    if (magnitude != 0 && size != magnitude) return std::nullopt;
    magnitude = size;
  }
  return magnitude;
}

}  // namespace

Result<TernaryMatrix> QuantizeAbsmean(int64_t rows, int64_t cols, const RowReader& read) {
  std::vector<float> row(static_cast<size_t>(cols));
  double sum = 0;
  for (int64_t r = 0; r < rows; ++r) {
    read(r, row);
    TERN_TRY(CheckFinite(r, row));
    for (const float w : row) sum += std::abs(w);
  }
  const auto mean =
      static_cast<float>(sum / (static_cast<double>(rows) * static_cast<double>(cols)));
  const float s = 1.0f / std::max(mean, 1e-5f);

  std::vector<int8_t> q;
  q.reserve(static_cast<size_t>(rows * cols));
  for (int64_t r = 0; r < rows; ++r) {
    read(r, row);
    // clamp(round_half_even(w * s), -1, 1): a half rounds to the even 0.
    for (const float w : row) q.push_back(Sign(w * s, 0.5f));
  }
  return TernaryMatrix::FromValues(rows, cols, q, ScaleSpec::Tensor(1.0f / s));
}

Result<TernaryMatrix> RecognizeTernary(int64_t rows, int64_t cols, int64_t group,
                                       const RowReader& read) {
  std::vector<float> row(static_cast<size_t>(cols));
  std::vector<int8_t> q;
  q.reserve(static_cast<size_t>(rows * cols));
  ScaleSpec scale{ScaleKind::kGroup, group, {}};
  for (int64_t r = 0; r < rows; ++r) {
    read(r, row);
    TERN_TRY(CheckFinite(r, row));
    for (int64_t begin = 0; begin < cols; begin += group) {
      const auto values =
          std::span(row).subspan(static_cast<size_t>(begin), static_cast<size_t>(group));
      const std::optional<float> d = Magnitude(values);
      if (!d)
        return Fail(Code::kUnsupported, "row {}, columns {} to {} are not all -d, 0 or +d of one d",
                    r, begin, begin + group - 1);
      scale.values.push_back(*d);
    }
    for (const float w : row) q.push_back(Sign(w, 0));
  }
  return TernaryMatrix::FromValues(rows, cols, q, std::move(scale));
}

}  // namespace tern
