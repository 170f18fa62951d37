#include "tensor/scales.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace tern {
namespace {

TernaryMatrix Make(int64_t rows, int64_t cols, ScaleSpec scale, uint64_t seed = 1) {
  Rng rng(seed);
  std::vector<int8_t> q(static_cast<size_t>(rows * cols));
  for (int8_t& v : q) v = static_cast<int8_t>(static_cast<int>(rng.Next() % 3) - 1);
  return TernaryMatrix::FromValues(rows, cols, q, std::move(scale)).value();
}

void ExpectSameValues(const TernaryMatrix& a, const TernaryMatrix& b) {
  ASSERT_EQ(a.rows(), b.rows());
  ASSERT_EQ(a.cols(), b.cols());
  std::vector<float> x(static_cast<size_t>(a.cols())), y(x.size());
  for (int64_t r = 0; r < a.rows(); ++r) {
    a.DequantizeRow(r, x);
    b.DequantizeRow(r, y);
    EXPECT_EQ(x, y) << "row " << r;
  }
}

TEST(SimplifyScales, EqualScalesBecomeOne) {
  const auto grouped = Make(3, 256, {ScaleKind::kGroup, 64, std::vector<float>(12, 0.5f)});
  const auto simple = SimplifyScales(grouped);
  EXPECT_EQ(simple.scale().kind, ScaleKind::kTensor);
  ExpectSameValues(simple, grouped);
}

TEST(SimplifyScales, EqualScalesOfEachRowBecomeOneARow) {
  const auto grouped = Make(2, 128, {ScaleKind::kGroup, 64, {1, 1, 2, 2}});
  const auto simple = SimplifyScales(grouped);
  EXPECT_EQ(simple.scale().kind, ScaleKind::kRow);
  ExpectSameValues(simple, grouped);
}

TEST(SimplifyScales, PairsOfGroupsMergeAsFarAsTheyAreEqual) {
  const auto grouped = Make(1, 512, {ScaleKind::kGroup, 64, {1, 1, 2, 2, 3, 3, 3, 3}});
  const auto simple = SimplifyScales(grouped);
  EXPECT_EQ(simple.scale().kind, ScaleKind::kGroup);
  EXPECT_EQ(simple.scale().group, 128);
  ExpectSameValues(simple, grouped);
}

TEST(SimplifyScales, AGroupOfZerosTakesAnyScale) {
  std::vector<int8_t> q(128, 0);
  q[0] = 1;
  const auto grouped =
      TernaryMatrix::FromValues(1, 128, q, {ScaleKind::kGroup, 64, {0.5f, 0}}).value();
  const auto simple = SimplifyScales(grouped);
  EXPECT_EQ(simple.scale().kind, ScaleKind::kTensor);
  EXPECT_EQ(simple.scale().values, std::vector<float>{0.5f});
}

TEST(SimplifyScales, DifferentScalesStay) {
  const auto grouped = Make(1, 192, {ScaleKind::kGroup, 64, {1, 2, 3}});
  EXPECT_EQ(SimplifyScales(grouped).scale().group, 64);
}

TEST(StackRows, KeepsEveryPartsValues) {
  const std::vector<TernaryMatrix> parts = {
      Make(2, 128, ScaleSpec::Tensor(0.5f), 2),
      Make(3, 128, {ScaleKind::kGroup, 64, {1, 2, 3, 4, 5, 6}}, 3),
      Make(1, 128, {ScaleKind::kRow, 0, {7}}, 4)};
  const auto stacked = StackRows(parts);
  ASSERT_EQ(stacked.rows(), 6);
  EXPECT_EQ(stacked.scale().group, 64);
  std::vector<float> want(128), got(128);
  int64_t row = 0;
  for (const TernaryMatrix& part : parts) {
    for (int64_t r = 0; r < part.rows(); ++r, ++row) {
      part.DequantizeRow(r, want);
      stacked.DequantizeRow(row, got);
      EXPECT_EQ(got, want) << row;
    }
  }
  EXPECT_EQ(StackRows(std::span(parts).first(1)).scale().kind, ScaleKind::kRow);
}

}  // namespace
}  // namespace tern
