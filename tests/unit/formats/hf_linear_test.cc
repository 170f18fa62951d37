#include "formats/hf_linear.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "formats/absmean.h"
#include "formats/hf_names.h"
#include "support/hf_folder.h"

namespace tern {
namespace {

using ::testing::HasSubstr;

std::vector<std::vector<int>> Values(const TernaryMatrix& matrix) {
  std::vector<std::vector<int>> rows;
  for (int64_t r = 0; r < matrix.rows(); ++r) {
    rows.emplace_back();
    for (int64_t c = 0; c < matrix.cols(); ++c) rows.back().push_back(matrix.At(r, c));
  }
  return rows;
}

/// The packing in words of the format: row r + i * ceil(rows / 4) in bits 2i+1:2i.
std::vector<uint8_t> Pack(const std::vector<std::vector<int>>& q) {
  const size_t stripe = (q.size() + 3) / 4;
  const size_t cols = q[0].size();
  std::vector<uint8_t> packed(stripe * cols);
  for (size_t r = 0; r < q.size(); ++r)
    for (size_t c = 0; c < cols; ++c)
      packed[r % stripe * cols + c] |= static_cast<uint8_t>((q[r][c] + 1) << (2 * (r / stripe)));
  return packed;
}

std::vector<std::vector<int>> RandomValues(size_t rows, size_t cols, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::vector<int>> q(rows, std::vector<int>(cols));
  for (auto& row : q)
    for (int& v : row) v = static_cast<int>(random() % 3) - 1;
  return q;
}

std::span<const std::byte> Bytes(const std::vector<uint8_t>& packed) {
  return std::as_bytes(std::span(packed));
}

TEST(HfPacked, ReadsTheExampleOfTransformers) {
  const std::vector<uint8_t> packed = {0b10100001, 0b00011000, 0b10010000, 0b00001010};
  const auto matrix = UnpackHf(Bytes(packed), 8, 2, 0, 0.5f);
  ASSERT_TRUE(matrix) << matrix.error().message;
  const std::vector<std::vector<int>> expected = {{0, -1}, {-1, 1}, {-1, 1}, {-1, 1},
                                                  {1, 0},  {0, -1}, {1, -1}, {1, -1}};
  EXPECT_EQ(Values(*matrix), expected);
  EXPECT_EQ(matrix->scale().kind, ScaleKind::kTensor);
  EXPECT_EQ(matrix->scale().values, std::vector<float>{0.5f});
}

TEST(HfPacked, ReadsEveryShapeOfStripeAndColumns) {
  for (size_t rows = 1; rows <= 13; ++rows)
    for (size_t cols = 1; cols <= 9; ++cols) {
      const auto q = RandomValues(rows, cols, static_cast<unsigned>(rows * 100 + cols));
      const auto matrix =
          UnpackHf(Bytes(Pack(q)), static_cast<int64_t>(rows), static_cast<int64_t>(cols), 0, 1.0f);
      ASSERT_TRUE(matrix) << matrix.error().message;
      EXPECT_EQ(Values(*matrix), q) << rows << " x " << cols;
    }
}

TEST(HfPacked, TheShortStripesUnusedCodesDoNotMatter) {
  // 5 rows: stripe 2, so the fourth stripe holds nothing and the third one row; all their bits are
  // set here.
  std::vector<uint8_t> packed = Pack(RandomValues(5, 3, 1));
  const auto q = Values(*UnpackHf(Bytes(packed), 5, 3, 0, 1.0f));
  for (size_t c = 0; c < 3; ++c) {
    packed[c] |= 0xc0;
    packed[3 + c] |= 0xf0;
  }
  const auto again = UnpackHf(Bytes(packed), 5, 3, 0, 1.0f);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(Values(*again), q);
}

TEST(HfPacked, ACodeOfThreeNamesRowAndColumn) {
  std::vector<uint8_t> packed = Pack(RandomValues(8, 6, 2));
  packed[6 + 5] |= 0x30;  // packed row 1, column 5, third stripe: row 1 + 2 * 2
  const auto matrix = UnpackHf(Bytes(packed), 8, 6, 0, 1.0f);
  ASSERT_FALSE(matrix);
  EXPECT_EQ(matrix.error().code, Code::kCorrupt);
  EXPECT_THAT(matrix.error().message, HasSubstr("row 5, column 5"));
}

TEST(HfPacked, PermutesHeadsAsBruteForceDoes) {
  constexpr int64_t kHeads = 3, kHeadDim = 8, kCols = 5;
  const auto q = RandomValues(kHeads * kHeadDim, kCols, 3);
  // New row 2i+j of a head is old row j*d/2+i.
  std::vector<std::vector<int>> expected(q.size());
  for (int64_t h = 0; h < kHeads; ++h)
    for (int64_t i = 0; i < kHeadDim / 2; ++i)
      for (int64_t j = 0; j < 2; ++j)
        expected[static_cast<size_t>(h * kHeadDim + 2 * i + j)] =
            q[static_cast<size_t>(h * kHeadDim + j * kHeadDim / 2 + i)];
  const auto matrix = UnpackHf(Bytes(Pack(q)), kHeads * kHeadDim, kCols, kHeadDim, 1.0f);
  ASSERT_TRUE(matrix) << matrix.error().message;
  EXPECT_EQ(Values(*matrix), expected);
}

class Linear : public ::testing::Test {
 protected:
  /// A linear layer of 2 x 2 whose weight and weight_scale are these.
  HfLinear Make(const test::HfTensor& weight, const test::HfTensor* scale = nullptr) {
    std::vector<test::HfTensor> in = {weight};
    if (scale) in.push_back(*scale);
    auto parsed = ParseSafetensors(test::InMemory("m", test::SafetensorsBytes(in)));
    EXPECT_TRUE(parsed) << parsed.error().message;
    tensors_ = std::move(*parsed);
    HfLinear linear;
    linear.rows = linear.cols = 2;
    for (const SafetensorsTensor& tensor : tensors_)
      (tensor.name == weight.name ? linear.weight : linear.weight_scale) = &tensor;
    return linear;
  }
  static test::HfTensor Scale(float value) {
    return test::F32Tensor("s", {1}, std::span(&value, 1));
  }
  static test::HfTensor Float(std::vector<float> values) {
    return test::F32Tensor("w", {2, 2}, values);
  }
  static test::HfTensor Packed() {
    const std::vector<uint8_t> bytes = {0b0110, 0b1000};
    return test::U8Tensor("w", {1, 2}, bytes);
  }
  static HfConfig Config(HfQuantization quantization, HfFamily family = HfFamily::kBitNet) {
    HfConfig config;
    config.quantization = quantization;
    config.family = family;
    return config;
  }

  std::vector<SafetensorsTensor> tensors_;
};

TEST_F(Linear, MultipliesOrDividesAsTheLinearClassSays) {
  const test::HfTensor scale = Scale(3.0f);
  HfLinear linear = Make(Packed(), &scale);
  ASSERT_TRUE(ClassifyLinear(Config(HfQuantization::kMultiply), linear));
  EXPECT_EQ(FormText(linear), "U8 packed");
  EXPECT_EQ(ReadLinear(linear)->scale().values, std::vector<float>{3.0f});
  ASSERT_TRUE(ClassifyLinear(Config(HfQuantization::kDivide), linear));
  const auto divided = ReadLinear(linear);
  ASSERT_TRUE(divided) << divided.error().message;
  EXPECT_EQ(divided->scale().values, std::vector<float>{1.0f / 3.0f});
  EXPECT_EQ(Values(*divided), (std::vector<std::vector<int>>{{1, -1}, {0, 1}}));
}

TEST_F(Linear, ReadsScalesInBf16AndWithoutDimensions) {
  const std::vector<float> value = {1.21875f};
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{}, {1}, {1, 1}}) {
    const test::HfTensor scale = test::Bf16Tensor("s", shape, value);
    HfLinear linear = Make(Packed(), &scale);
    ASSERT_TRUE(ClassifyLinear(Config(HfQuantization::kMultiply), linear));
    EXPECT_EQ(ReadLinear(linear)->scale().values, value);
  }
}

TEST_F(Linear, RefusesScalesThatAreNotPositiveAndFinite) {
  for (const float bad : {0.0f, -1.0f, INFINITY, NAN, 1e-45f}) {
    const test::HfTensor scale = Scale(bad);
    HfLinear linear = Make(Packed(), &scale);
    ASSERT_TRUE(ClassifyLinear(Config(HfQuantization::kDivide), linear));  // 1 / 1e-45 overflows
    const auto matrix = ReadLinear(linear);
    ASSERT_FALSE(matrix) << bad;
    EXPECT_EQ(matrix.error().code, Code::kCorrupt);
    EXPECT_THAT(matrix.error().message, HasSubstr("weight_scale is"));
  }
}

TEST_F(Linear, ReadsUnpackedCodesAndRefusesOthers) {
  const test::HfTensor scale = Scale(0.25f);
  HfLinear linear = Make(Float({1, 0, -1, 0}), &scale);
  ASSERT_TRUE(ClassifyLinear(Config(HfQuantization::kMultiply), linear));
  EXPECT_EQ(FormText(linear), "F32 codes");
  const auto matrix = ReadLinear(linear);
  ASSERT_TRUE(matrix) << matrix.error().message;
  EXPECT_EQ(Values(*matrix), (std::vector<std::vector<int>>{{1, 0}, {-1, 0}}));
  EXPECT_EQ(matrix->scale().values, std::vector<float>{0.25f});

  linear = Make(Float({1, 0, -1, 0.5f}), &scale);
  ASSERT_TRUE(ClassifyLinear(Config(HfQuantization::kMultiply), linear));
  EXPECT_THAT(ReadLinear(linear).error().message, HasSubstr("row 1, column 1: found 0.5"));
}

TEST_F(Linear, TellsMastersFromGroupsByFamilyAndMode) {
  HfLinear linear = Make(Float({1, 0, -1, 0}));
  ASSERT_TRUE(ClassifyLinear(Config(HfQuantization::kOnline, HfFamily::kLlama), linear));
  EXPECT_EQ(linear.form, HfLinearForm::kMaster);
  ASSERT_TRUE(ClassifyLinear(Config(HfQuantization::kNone, HfFamily::kBitNet), linear));
  EXPECT_EQ(linear.form, HfLinearForm::kMaster);
  ASSERT_TRUE(ClassifyLinear(Config(HfQuantization::kNone, HfFamily::kQwen3), linear));
  EXPECT_EQ(linear.form, HfLinearForm::kGroups);
}

TEST_F(Linear, RefusesContradictions) {
  const auto classify = [](HfLinear linear, HfQuantization quantization) {
    const Status status = ClassifyLinear(Config(quantization), linear);
    EXPECT_FALSE(status);
    return status ? std::string() : status.error().message;
  };
  EXPECT_THAT(classify(Make(Packed()), HfQuantization::kMultiply),
              HasSubstr("weight_scale that belongs to U8"));
  EXPECT_THAT(classify(Make(Float({1, 1, 1, 1})), HfQuantization::kDivide),
              HasSubstr("weight_scale"));
  EXPECT_THAT(classify(Make(Packed()), HfQuantization::kNone), HasSubstr("no quantization_config"));
  const std::vector<uint8_t> bytes = {0, 0, 0, 0};
  EXPECT_THAT(classify(Make(test::U8Tensor("w", {2, 2}, bytes)), HfQuantization::kMultiply),
              HasSubstr("found U8 [2, 2], expected [1, 2]"));
  EXPECT_THAT(classify(Make({"w", "I8", {2, 2}, "1234"}), HfQuantization::kMultiply),
              HasSubstr("found I8"));
  const std::vector<float> two = {1, 2};
  const test::HfTensor scales = test::F32Tensor("s", {2}, two);
  EXPECT_THAT(classify(Make(Packed(), &scales), HfQuantization::kMultiply),
              HasSubstr("found F32 [2], expected one"));
}

RowReader Rows(const std::vector<std::vector<float>>& w) {
  return [&w](int64_t row, std::span<float> out) {
    std::copy(w[static_cast<size_t>(row)].begin(), w[static_cast<size_t>(row)].end(), out.begin());
  };
}

TEST(Absmean, RoundsAsThePaperSays) {
  // Mean of magnitudes 1: values are compared with a half, and a half itself rounds to the even 0.
  const std::vector<std::vector<float>> w = {{0.5f, -0.5f, 0.500001f, -0.500001f},
                                             {2.0f, -2.0f, 1e-34f, 1.999998f}};
  const auto matrix = QuantizeAbsmean(2, 4, Rows(w));
  ASSERT_TRUE(matrix) << matrix.error().message;
  EXPECT_EQ(matrix->scale().values, std::vector<float>{1.0f});
  EXPECT_EQ(Values(*matrix), (std::vector<std::vector<int>>{{0, 0, 1, -1}, {1, -1, 0, 1}}));
}

TEST(Absmean, AgreesWithTheFormulaOnRandomWeights) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, 0.02f);
  std::vector<std::vector<float>> w(40, std::vector<float>(50));
  double sum = 0;
  for (auto& row : w)
    for (float& v : row) sum += std::abs(v = normal(random));
  const float s = 1.0f / std::max(static_cast<float>(sum / 2000), 1e-5f);
  const auto matrix = QuantizeAbsmean(40, 50, Rows(w));
  ASSERT_TRUE(matrix) << matrix.error().message;
  EXPECT_EQ(matrix->scale().values, std::vector<float>{1.0f / s});
  for (int64_t r = 0; r < 40; ++r)
    for (int64_t c = 0; c < 50; ++c) {
      const float x = std::nearbyint(w[static_cast<size_t>(r)][static_cast<size_t>(c)] * s);
      EXPECT_EQ(matrix->At(r, c), static_cast<int>(std::min(std::max(x, -1.0f), 1.0f)));
    }
}

TEST(Absmean, TheScaleIsTheReciprocalOfTheReciprocal) {
  // transformers divides by s = 1 / mean; that is not always the mean again.
  int differ = 0;
  for (int i = 1; i <= 50; ++i) {
    const float mean = 0.01f * static_cast<float>(i);
    const std::vector<std::vector<float>> w = {{mean, -mean, mean, mean}};
    const auto matrix = QuantizeAbsmean(1, 4, Rows(w));
    ASSERT_TRUE(matrix) << matrix.error().message;
    EXPECT_EQ(matrix->scale().values, std::vector<float>{1.0f / (1.0f / mean)});
    differ += matrix->scale().values[0] != mean;
  }
  EXPECT_GT(differ, 0);
}

TEST(Absmean, OfZerosIsZero) {
  const std::vector<std::vector<float>> w = {{0, -0.0f, 0, 0}};
  const auto matrix = QuantizeAbsmean(1, 4, Rows(w));
  ASSERT_TRUE(matrix) << matrix.error().message;
  EXPECT_EQ(Values(*matrix), (std::vector<std::vector<int>>{{0, 0, 0, 0}}));
  EXPECT_EQ(matrix->scale().values, std::vector<float>{1.0f / (1.0f / 1e-5f)});
}

TEST(Absmean, RefusesWeightsThatAreNotFinite) {
  for (const float bad : {NAN, INFINITY}) {
    const std::vector<std::vector<float>> w = {{1, 1}, {1, bad}};
    EXPECT_THAT(QuantizeAbsmean(2, 2, Rows(w)).error().message, HasSubstr("row 1, column 1"));
    EXPECT_THAT(RecognizeTernary(2, 2, 2, Rows(w)).error().message, HasSubstr("row 1, column 1"));
  }
}

TEST(RecognizeTernary, KeepsEveryGroupsMagnitudeExactly) {
  const std::vector<std::vector<float>> w = {{0.1f, -0.1f, 0, 0.3f}, {0, 0, -7, 7}};
  const auto matrix = RecognizeTernary(2, 4, 2, Rows(w));
  ASSERT_TRUE(matrix) << matrix.error().message;
  EXPECT_EQ(Values(*matrix), (std::vector<std::vector<int>>{{1, -1, 0, 1}, {0, 0, -1, 1}}));
  EXPECT_EQ(matrix->scale().values, (std::vector<float>{0.1f, 0.3f, 0, 7}));
  std::vector<float> row(4);
  for (int64_t r = 0; r < 2; ++r) {
    matrix->DequantizeRow(r, row);
    EXPECT_EQ(row, w[static_cast<size_t>(r)]);
  }
}

TEST(RecognizeTernary, NamesTheFirstGroupThatIsDense) {
  const std::vector<std::vector<float>> w = {{1, 1, 1, 1}, {1, 1, 0.5f, 1}};
  const auto matrix = RecognizeTernary(2, 4, 2, Rows(w));
  ASSERT_FALSE(matrix);
  EXPECT_EQ(matrix.error().code, Code::kUnsupported);
  EXPECT_THAT(matrix.error().message, HasSubstr("row 1, columns 2 to 3"));
}

}  // namespace
}  // namespace tern
