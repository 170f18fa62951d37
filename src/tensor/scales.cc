#include "tensor/scales.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "base/check.h"

namespace tern {
namespace {

constexpr int64_t kGroupStep = 2;  // groups merge in pairs: 64 -> 128 -> 256 ...

// Scales of (rows, cols / group) with a mark where no value is non-zero, so that any scale would
// do.
using LooseScales = std::vector<std::optional<float>>;

LooseScales Loosen(const TernaryMatrix& m, int64_t group) {
  const int64_t per_row = m.cols() / group;
  LooseScales scales(static_cast<size_t>(m.rows() * per_row));
  std::vector<int8_t> row(static_cast<size_t>(m.cols()));
  for (int64_t r = 0; r < m.rows(); ++r) {
    m.UnpackRow(r, row);
    for (int64_t g = 0; g < per_row; ++g) {
      const auto begin = row.begin() + g * group;
      if (std::any_of(begin, begin + group, [](int8_t q) { return q != 0; }))
        scales[static_cast<size_t>(r * per_row + g)] = m.ScaleAt(r, g * group);
    }
  }
  return scales;
}

// Merges runs of `count` neighbours; nothing when a run holds two different scales.
std::optional<LooseScales> MergeRuns(const LooseScales& scales, size_t count) {
  if (count == 0 || scales.size() % count != 0) return std::nullopt;
  LooseScales merged(scales.size() / count);
  for (size_t i = 0; i < scales.size(); ++i) {
    std::optional<float>& into = merged[i / count];
    if (!scales[i]) continue;
    if (into && *into != *scales[i]) return std::nullopt;
    into = scales[i];
  }
  return merged;
}

std::vector<float> Fix(const LooseScales& scales) {
  std::vector<float> out(scales.size());
  std::transform(scales.begin(), scales.end(), out.begin(),
                 [](const std::optional<float>& s) { return s.value_or(0.0f); });
  return out;
}

TernaryMatrix WithScale(const TernaryMatrix& m, ScaleSpec scale) {
  std::vector<uint8_t> codes;
  codes.reserve(TernaryMatrix::RowBytes(m.cols()) * static_cast<size_t>(m.rows()));
  for (int64_t r = 0; r < m.rows(); ++r) {
    const auto row = m.RowCodes(r);
    codes.insert(codes.end(), row.begin(), row.end());
  }
  auto result = TernaryMatrix::FromCodes(m.rows(), m.cols(), std::move(codes), std::move(scale));
  TERN_CHECK(result.has_value());
  return std::move(*result);
}

}  // namespace

TernaryMatrix SimplifyScales(TernaryMatrix matrix) {
  if (matrix.scale().kind == ScaleKind::kTensor || matrix.rows() == 0) return matrix;
  int64_t group = matrix.scale().kind == ScaleKind::kGroup ? matrix.scale().group : matrix.cols();
  LooseScales scales = Loosen(matrix, group);
  if (auto one = MergeRuns(scales, scales.size()))
    return WithScale(matrix, ScaleSpec::Tensor(one->front().value_or(0.0f)));
  if (matrix.scale().kind == ScaleKind::kRow) return matrix;
  const auto per_row = static_cast<size_t>(matrix.cols() / group);
  if (auto rows = MergeRuns(scales, per_row))
    return WithScale(matrix, {ScaleKind::kRow, 0, Fix(*rows)});
  const int64_t original = group;
  while (matrix.cols() % (group * kGroupStep) == 0) {
    auto merged = MergeRuns(scales, kGroupStep);
    if (!merged) break;
    scales = std::move(*merged);
    group *= kGroupStep;
  }
  if (group == original) return matrix;
  return WithScale(matrix, {ScaleKind::kGroup, group, Fix(scales)});
}

TernaryMatrix StackRows(std::span<const TernaryMatrix> parts) {
  TERN_CHECK(!parts.empty());
  const int64_t cols = parts.front().cols();
  int64_t group = 0;  // common group; 0 while no part is grouped
  int64_t rows = 0;
  for (const TernaryMatrix& part : parts) {
    TERN_CHECK(part.cols() == cols);
    rows += part.rows();
    if (part.scale().kind == ScaleKind::kGroup) group = std::gcd(group, part.scale().group);
  }
  ScaleSpec scale{group == 0 ? ScaleKind::kRow : ScaleKind::kGroup, group, {}};
  std::vector<uint8_t> codes;
  codes.reserve(static_cast<size_t>(rows) * TernaryMatrix::RowBytes(cols));
  const int64_t step = group == 0 ? cols : group;
  for (const TernaryMatrix& part : parts) {
    for (int64_t r = 0; r < part.rows(); ++r) {
      const auto row = part.RowCodes(r);
      codes.insert(codes.end(), row.begin(), row.end());
      for (int64_t c = 0; c < cols; c += step) scale.values.push_back(part.ScaleAt(r, c));
    }
  }
  auto result = TernaryMatrix::FromCodes(rows, cols, std::move(codes), std::move(scale));
  TERN_CHECK(result.has_value());
  return std::move(*result);
}

}  // namespace tern
