#include "tensor/dense_matrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace tern {
namespace {

using ::testing::HasSubstr;

std::vector<std::byte> Encode(DType type, const std::vector<float>& in) {
  std::vector<std::byte> out(*RowBytes(type, static_cast<int64_t>(in.size())));
  const Status status = EncodeRow(type, in, out);
  EXPECT_TRUE(status) << status.error().message;
  return out;
}

std::string RefusalOf(DType type, const std::vector<float>& in) {
  std::vector<std::byte> out(*RowBytes(type, static_cast<int64_t>(in.size())));
  const Status status = EncodeRow(type, in, out);
  return status ? "" : status.error().message;
}

TEST(DType, NamesAreFoundInAnyCase) {
  EXPECT_EQ(ParseDType("q6_k"), DType::kQ6_K);
  EXPECT_EQ(ParseDType("Q6_K"), DType::kQ6_K);
  EXPECT_EQ(ParseDType("BF16"), DType::kBF16);
  EXPECT_EQ(ParseDType("f1"), std::nullopt);
  EXPECT_EQ(ParseDType("f160"), std::nullopt);
  EXPECT_EQ(ParseDType(""), std::nullopt);
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0,
                           DType::kQ4_K, DType::kQ6_K})
    EXPECT_EQ(ParseDType(Info(type).name), type);
}

TEST(RowBytes, CountsWholeBlocks) {
  EXPECT_EQ(RowBytes(DType::kF32, 3), 12u);
  EXPECT_EQ(RowBytes(DType::kBF16, 5), 10u);
  EXPECT_EQ(RowBytes(DType::kQ8_0, 64), 68u);
  EXPECT_EQ(RowBytes(DType::kQ4_0, 32), 18u);
  EXPECT_EQ(RowBytes(DType::kQ4_K, 512), 288u);
  EXPECT_EQ(RowBytes(DType::kQ6_K, 256), 210u);
}

TEST(RowBytes, RefusesPartOfABlockAndOverflow) {
  EXPECT_FALSE(RowBytes(DType::kQ8_0, 33));
  EXPECT_FALSE(RowBytes(DType::kF32, 0));
  EXPECT_FALSE(RowBytes(DType::kF32, -4));
  EXPECT_FALSE(RowBytes(DType::kF32, std::numeric_limits<int64_t>::max()));
}

// From the layout: scale 0.5, then low nibbles are elements 0..15 and high nibbles 16..31, minus 8.
TEST(DecodeRow, Q4_0SplitsNibblesIntoTwoHalves) {
  std::vector<std::byte> block(18);
  block[0] = std::byte{0x00};
  block[1] = std::byte{0x38};
  for (size_t j = 0; j < 16; ++j) block[2 + j] = static_cast<std::byte>(j | (15 - j) << 4);
  std::vector<float> out(32);
  DecodeRow(DType::kQ4_0, block.data(), out);
  for (size_t j = 0; j < 16; ++j) {
    EXPECT_EQ(out[j], 0.5f * (static_cast<float>(j) - 8));
    EXPECT_EQ(out[j + 16], 0.5f * (7 - static_cast<float>(j)));
  }
}

TEST(EncodeRow, PlainFloatsComeBackAsFarAsTheirTypeGoes) {
  const std::vector<float> in = {0.0f, -1.5f, 65504.0f, 0x1p-24f, 3.1415927f};
  std::vector<float> out(in.size());
  DecodeRow(DType::kF32, Encode(DType::kF32, in).data(), out);
  EXPECT_EQ(out, in);
  DecodeRow(DType::kF16, Encode(DType::kF16, in).data(), out);
  EXPECT_EQ(out, (std::vector<float>{0.0f, -1.5f, 65504.0f, 0x1p-24f, 3.140625f}));
  DecodeRow(DType::kBF16, Encode(DType::kBF16, in).data(), out);
  EXPECT_EQ(out, (std::vector<float>{0.0f, -1.5f, 65536.0f, 0x1p-24f, 3.140625f}));
}

TEST(EncodeRow, ZerosAndTinyValuesGiveBlocksOfZeros) {
  for (const DType type : {DType::kQ8_0, DType::kQ6_K}) {
    for (const float x : {0.0f, 1e-40f, 1e-30f}) {
      std::vector<float> out(256, 1.0f);
      DecodeRow(type, Encode(type, std::vector<float>(256, x)).data(), out);
      EXPECT_EQ(out, std::vector<float>(256, 0.0f)) << x;
    }
  }
}

TEST(EncodeRow, RefusesValuesThatTheTypeCannotHold) {
  std::vector<float> in(256, 1.0f);
  in[70] = 1e30f;
  EXPECT_THAT(RefusalOf(DType::kF16, in), HasSubstr("element 70 is 1e+30, too large for f16"));
  EXPECT_THAT(RefusalOf(DType::kQ8_0, in), HasSubstr("elements from 64"));
  EXPECT_THAT(RefusalOf(DType::kQ6_K, in), HasSubstr("too large for q6_k"));
  in[70] = 3e38f;
  EXPECT_THAT(RefusalOf(DType::kQ6_K, in), HasSubstr("too large for q6_k"));
  in[70] = 5e8f;  // fits each sub-block but not the binary16 scale
  EXPECT_THAT(RefusalOf(DType::kQ6_K, in), HasSubstr("does not fit q6_k"));
  in[70] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(RefusalOf(DType::kQ8_0, in), HasSubstr("element 70 is nan"));
  EXPECT_THAT(RefusalOf(DType::kQ6_K, in), HasSubstr("element 70 is nan"));
}

TEST(EncodeRow, RefusesTypesThatTernOnlyReadsAndBuffersOfTheWrongSize) {
  EXPECT_THAT(RefusalOf(DType::kQ4_0, std::vector<float>(32)), HasSubstr("does not write"));
  EXPECT_THAT(RefusalOf(DType::kQ4_K, std::vector<float>(256)), HasSubstr("does not write"));
  std::vector<std::byte> out(7);
  const std::vector<float> in = {1, 2};
  EXPECT_FALSE(EncodeRow(DType::kF32, in, out));
}

// Errors of the best 6-bit fit of a smooth signal stay below one step.
TEST(EncodeRow, Q6KIsCloseToItsInput) {
  std::vector<float> in(512);
  for (size_t i = 0; i < in.size(); ++i)
    in[i] = static_cast<float>(static_cast<int>(i * 37 % 101) - 50) / 50.0f;
  std::vector<float> out(in.size());
  DecodeRow(DType::kQ6_K, Encode(DType::kQ6_K, in).data(), out);
  for (size_t i = 0; i < in.size(); ++i) EXPECT_NEAR(out[i], in[i], 1.0 / 32);
}

TEST(DenseMatrix, FindsItsRows) {
  const std::vector<std::byte> bytes(3 * 8);
  const DenseMatrix m{DType::kF32, 3, 2, bytes, nullptr};
  EXPECT_EQ(m.Row(0), bytes.data());
  EXPECT_EQ(m.Row(2), bytes.data() + 16);
}

}  // namespace
}  // namespace tern
