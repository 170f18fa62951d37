#include "tensor/ternary_matrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(TernaryMatrix, KeepsValuesRowByRowInTwoBitCodes) {
  const std::vector<int8_t> q = {-1, 0, 1, 1, 0, /*row 1*/ 1, 1, -1, 0, -1};
  const auto m = TernaryMatrix::FromValues(2, 5, q, ScaleSpec::Tensor(0.5f));
  ASSERT_TRUE(m);
  EXPECT_EQ(m->rows(), 2);
  EXPECT_EQ(m->cols(), 5);
  // -1 0 1 1 -> codes 0 1 2 2 at bits 0 2 4 6; the last byte of a row is filled up with code 1.
  EXPECT_THAT(m->RowCodes(0), ElementsAre(0b10100100, 0b01010101));
  EXPECT_THAT(m->RowCodes(1), ElementsAre(0b01001010, 0b01010100));
  for (int64_t r = 0; r < 2; ++r)
    for (int64_t c = 0; c < 5; ++c) EXPECT_EQ(m->At(r, c), q[static_cast<size_t>(r * 5 + c)]);
}

TEST(TernaryMatrix, RowsUnpackAndDequantize) {
  const std::vector<int8_t> q = {-1, 0, 1, 1, 0, 1, 1, -1, 0};
  const auto m = TernaryMatrix::FromValues(1, 9, q, ScaleSpec::Tensor(0.25f));
  ASSERT_TRUE(m);
  std::vector<int8_t> values(9);
  m->UnpackRow(0, values);
  EXPECT_EQ(values, q);
  std::vector<float> floats(9);
  m->DequantizeRow(0, floats);
  EXPECT_THAT(floats, ElementsAre(-.25f, 0, .25f, .25f, 0, .25f, .25f, -.25f, 0));
}

TEST(TernaryMatrix, ScalesAreSharedAsTheirKindSays) {
  const std::vector<int8_t> q(2 * 4, 1);
  const auto rows = TernaryMatrix::FromValues(2, 4, q, {ScaleKind::kRow, 0, {1, 2}});
  const auto groups = TernaryMatrix::FromValues(2, 4, q, {ScaleKind::kGroup, 2, {1, 2, 3, 4}});
  ASSERT_TRUE(rows && groups);
  EXPECT_EQ(rows->ScaleAt(0, 3), 1);
  EXPECT_EQ(rows->ScaleAt(1, 0), 2);
  std::vector<float> row(4);
  groups->DequantizeRow(1, row);
  EXPECT_THAT(row, ElementsAre(3, 3, 4, 4));
  EXPECT_EQ(groups->ScaleAt(0, 1), 1);
  EXPECT_EQ(groups->ScaleAt(0, 2), 2);
}

TEST(TernaryMatrix, EveryScaleIsMultiplied) {
  auto m =
      TernaryMatrix::FromValues(1, 4, std::vector<int8_t>(4, 1), {ScaleKind::kGroup, 2, {1, 2}});
  ASSERT_TRUE(m);
  m->MultiplyScales(3);
  EXPECT_THAT(m->scale().values, ElementsAre(3, 6));
}

TEST(TernaryMatrix, CodesMayHoldAnythingInTheUnusedBits) {
  const auto m =
      TernaryMatrix::FromCodes(2, 5, {0b10100100, 0xff, 0x55, 0xfe}, ScaleSpec::Tensor(1));
  ASSERT_FALSE(m);  // the used code of the second byte is 3
  const auto ok =
      TernaryMatrix::FromCodes(2, 5, {0b10100100, 0xfd, 0x55, 0xfe}, ScaleSpec::Tensor(1));
  ASSERT_TRUE(ok);
  EXPECT_THAT(ok->RowCodes(0), ElementsAre(0b10100100, 0x55));
  EXPECT_THAT(ok->RowCodes(1), ElementsAre(0x55, 0x56));
}

TEST(TernaryMatrix, ACodeOfThreeIsCorruptAndNamedByRowAndColumn) {
  for (const uint8_t others : {uint8_t{0x00}, uint8_t{0x55}, uint8_t{0xaa}}) {
    for (int64_t c = 0; c < 40; ++c) {
      std::vector<uint8_t> codes(30, others);
      codes[static_cast<size_t>(20 + c / 4)] |= static_cast<uint8_t>(3 << (2 * (c % 4)));
      const auto m = TernaryMatrix::FromCodes(3, 40, codes, ScaleSpec::Tensor(1));
      ASSERT_FALSE(m);
      EXPECT_EQ(m.error().code, Code::kCorrupt);
      EXPECT_EQ(m.error().message,
                fmt::format("row 2, column {} holds code 3, expected 0, 1 or 2", c));
    }
  }
}

TEST(TernaryMatrix, AdjacentBitsOfTwoCodesAreNotACodeOfThree) {
  // Codes 2, 1: bits 01 10, so that the middle bits are both set.
  EXPECT_TRUE(TernaryMatrix::FromCodes(1, 4, {0b01100110}, ScaleSpec::Tensor(1)));
}

TEST(TernaryMatrix, ScalesThatAreNotFiniteAreRefusedWithTheirPlace) {
  const std::vector<int8_t> q(2 * 8, 0);
  const auto tensor = TernaryMatrix::FromValues(2, 8, q, ScaleSpec::Tensor(kNan));
  ASSERT_FALSE(tensor);
  EXPECT_EQ(tensor.error().code, Code::kInvalidArgument);
  EXPECT_EQ(tensor.error().message, "the scale is nan, expected a finite number");

  const float inf = std::numeric_limits<float>::infinity();
  const auto groups = TernaryMatrix::FromCodes(2, 8, std::vector<uint8_t>(4, 0x55),
                                               {ScaleKind::kGroup, 4, {1, 1, 1, -inf}});
  ASSERT_FALSE(groups);
  EXPECT_EQ(groups.error().code, Code::kCorrupt);
  EXPECT_EQ(groups.error().message,
            "the scale at row 1, column 4 is -inf, expected a finite number");

  const auto rows = TernaryMatrix::FromValues(2, 8, q, {ScaleKind::kRow, 0, {1, kNan}});
  ASSERT_FALSE(rows);
  EXPECT_THAT(rows.error().message, HasSubstr("row 1, column 0"));
}

TEST(TernaryMatrix, SizesThatDoNotAgreeAreRefused) {
  const std::vector<int8_t> q(8, 0);
  const auto refused = [](const auto& m) { return !m && m.error().code == Code::kInvalidArgument; };
  EXPECT_TRUE(refused(TernaryMatrix::FromValues(2, 5, q, ScaleSpec::Tensor(1))));
  EXPECT_TRUE(refused(TernaryMatrix::FromValues(0, 4, {}, ScaleSpec::Tensor(1))));
  EXPECT_TRUE(refused(TernaryMatrix::FromValues(-1, -8, q, ScaleSpec::Tensor(1))));
  EXPECT_TRUE(refused(TernaryMatrix::FromValues(1LL << 40, 1LL << 40, q, ScaleSpec::Tensor(1))));
  EXPECT_TRUE(refused(TernaryMatrix::FromValues(2, 4, q, {ScaleKind::kRow, 0, {1}})));
  EXPECT_TRUE(refused(TernaryMatrix::FromValues(2, 4, q, {ScaleKind::kGroup, 3, {1, 1}})));
  EXPECT_TRUE(refused(TernaryMatrix::FromValues(2, 4, q, {ScaleKind::kGroup, 0, {1, 1}})));
  EXPECT_TRUE(refused(TernaryMatrix::FromValues(2, 4, q, {ScaleKind::kGroup, 2, {1, 1}})));
  EXPECT_TRUE(refused(TernaryMatrix::FromCodes(2, 5, {0x55, 0x55, 0x55}, ScaleSpec::Tensor(1))));
  EXPECT_TRUE(
      refused(TernaryMatrix::FromValues(1, 2, std::vector<int8_t>{0, 2}, ScaleSpec::Tensor(1))));
}

TEST(PackCodes, FillsTheLastByteWithZeroValues) {
  const std::vector<uint8_t> codes = {2, 0, 1, 3, 2};
  std::vector<uint8_t> out(2);
  PackCodes(codes, out.data());
  EXPECT_THAT(out, ElementsAre(0b11010010, 0b01010110));
}

}  // namespace
}  // namespace tern
