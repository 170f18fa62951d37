// Decoders and encoders against bytes that upstream ggml, bitnet.cpp and ik_llama.cpp wrote
// themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <ostream>

#include "formats/codec.h"
#include "support/golden.h"

namespace tern {
namespace {

using test::Bits;
using test::GoldenBytes;
using test::GoldenFloats;

struct Case {
  const char* file;
  const char* codec;
  int64_t rows;
  int64_t cols;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.file; }

const Codec& CodecOf(const Case& c) {
  const Codec* codec = FindCodec(c.codec);
  EXPECT_NE(codec, nullptr);
  return *codec;
}

// Types that are not ternary, and bytes of ternary types with codes that no writer makes.
const Case kAnyValues[] = {
    Case{"q8_0.tern", "q8_0", 4, 256},     Case{"q8_0.gauss", "q8_0", 4, 256},
    Case{"q8_0.ties", "q8_0", 4, 256},     Case{"q4_0.tern", "q4_0", 4, 256},
    Case{"q4_0.gauss", "q4_0", 4, 256},    Case{"q4_0.ties", "q4_0", 4, 256},
    Case{"q4_K.tern", "q4_k", 4, 256},     Case{"q4_K.gauss", "q4_k", 4, 256},
    Case{"q4_K.ties", "q4_k", 4, 256},     Case{"q4_K.random", "q4_k", 4, 256},
    Case{"q6_K.tern", "q6_k", 4, 256},     Case{"q6_K.gauss", "q6_k", 4, 256},
    Case{"q6_K.ties", "q6_k", 4, 256},     Case{"q6_K.random", "q6_k", 4, 256},
    Case{"tq1_0.random", "tq1_0", 4, 256}, Case{"tq2_0.random", "tq2_0", 4, 256},
    Case{"q2_0.random", "q2_0", 4, 256}};

const Case kTernaryValues[] = {Case{"tq1_0.tern", "tq1_0", 4, 256},
                               Case{"tq1_0.gauss", "tq1_0", 2, 512},
                               Case{"tq1_0.ties", "tq1_0", 4, 256},
                               Case{"tq2_0.tern", "tq2_0", 4, 256},
                               Case{"tq2_0.gauss", "tq2_0", 2, 512},
                               Case{"tq2_0.ties", "tq2_0", 4, 256},
                               Case{"q2_0.tern", "q2_0", 8, 128},
                               Case{"q2_0.ties", "q2_0", 16, 64},
                               Case{"q2_0.gauss", "q2_0", 4, 256},
                               Case{"i2_s.x86.8x256", "i2_s", 8, 256},
                               Case{"i2_s.x86.4x96", "i2_s", 4, 96},
                               Case{"i2_s.x86.3x640", "i2_s", 3, 640},
                               Case{"i2_s.arm.8x256", "i2_s_arm", 8, 256},
                               Case{"i2_s.arm.4x96", "i2_s_arm", 4, 96},
                               Case{"i2_s.x86rows4.8x256", "i2_s_rows4", 8, 256},
                               Case{"iq1_bn.8x256", "iq1_bn", 8, 256},
                               Case{"iq2_bn.8x256", "iq2_bn", 8, 256},
                               Case{"iq2_bn_r4.8x256", "iq2_bn_r4", 8, 256}};

void ExpectSameBits(const Case& c) {
  const auto bytes = GoldenBytes(std::string(c.file) + ".bin");
  const auto expected = GoldenFloats(std::string(c.file) + ".out.f32");
  ASSERT_EQ(CodecOf(c).byte_span(c.rows, c.cols), bytes.size());
  std::vector<float> out(static_cast<size_t>(c.rows * c.cols));
  ASSERT_TRUE(CodecOf(c).decode(c.rows, c.cols, bytes, out));
  EXPECT_EQ(Bits(out), Bits(expected));
}

class DecodeGolden : public ::testing::TestWithParam<Case> {};

TEST_P(DecodeGolden, GivesTheSameBits) { ExpectSameBits(GetParam()); }

INSTANTIATE_TEST_SUITE_P(, DecodeGolden, ::testing::ValuesIn(kAnyValues));

class TernaryDecodeGolden : public ::testing::TestWithParam<Case> {};

TEST_P(TernaryDecodeGolden, GivesTheSameBits) { ExpectSameBits(GetParam()); }

TEST_P(TernaryDecodeGolden, MatricesHoldTheSameValues) {
  const Case& c = GetParam();
  const auto m =
      CodecOf(c).decode_ternary(c.rows, c.cols, GoldenBytes(std::string(c.file) + ".bin"));
  ASSERT_TRUE(m) << m.error().message;
  std::vector<float> out(static_cast<size_t>(c.rows * c.cols));
  for (int64_t r = 0; r < c.rows; ++r)
    m->DequantizeRow(
        r, std::span(out).subspan(static_cast<size_t>(r * c.cols), static_cast<size_t>(c.cols)));
  EXPECT_EQ(Bits(out), Bits(GoldenFloats(std::string(c.file) + ".out.f32")));
}

INSTANTIATE_TEST_SUITE_P(, TernaryDecodeGolden, ::testing::ValuesIn(kTernaryValues));

TEST(RandomBytes, CodesOfThreeAreFoundWhereTheValuesAreTwiceTheScale) {
  for (const auto& [file, codec] :
       {std::pair{"q2_0.random", "q2_0"}, std::pair{"tq2_0.random", "tq2_0"}}) {
    const auto m =
        FindCodec(codec)->decode_ternary(4, 256, GoldenBytes(std::string(file) + ".bin"));
    ASSERT_FALSE(m) << file;
    EXPECT_EQ(m.error().code, Code::kCorrupt);
  }
}

// The matrix that the floats are, with one scale for each group of columns, found without any
// decoder.
TernaryMatrix FromFloats(const std::vector<float>& values, int64_t rows, int64_t cols,
                         int64_t group) {
  std::vector<int8_t> q;
  ScaleSpec scale{ScaleKind::kGroup, group, {}};
  for (size_t i = 0; i < values.size(); i += static_cast<size_t>(group)) {
    float d = 0;
    for (size_t j = i; j < i + static_cast<size_t>(group); ++j)
      d = std::max(d, std::fabs(values[j]));
    for (size_t j = i; j < i + static_cast<size_t>(group); ++j)
      q.push_back(static_cast<int8_t>((values[j] > 0) - (values[j] < 0)));
    scale.values.push_back(d);
  }
  auto m = TernaryMatrix::FromValues(rows, cols, q, std::move(scale));
  EXPECT_TRUE(m);
  return std::move(*m);
}

struct EncodeCase {
  const char* file;
  const char* codec;
  int64_t rows, cols, group;
};
void PrintTo(const EncodeCase& c, std::ostream* out) { *out << c.file; }

class TernaryEncodeGolden : public ::testing::TestWithParam<EncodeCase> {};

TEST_P(TernaryEncodeGolden, WritesTheSameBytes) {
  const EncodeCase& c = GetParam();
  const auto expected = GoldenBytes(std::string(c.file) + ".bin");
  const auto m =
      FromFloats(GoldenFloats(std::string(c.file) + ".out.f32"), c.rows, c.cols, c.group);
  std::vector<std::byte> out(expected.size(), std::byte{0xee});
  const auto report = FindCodec(c.codec)->encode(m, out);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->max_scale_error, 0);  // the decoded scales are binary16 already
  EXPECT_EQ(out, expected);
}

INSTANTIATE_TEST_SUITE_P(, TernaryEncodeGolden,
                         ::testing::Values(EncodeCase{"tq1_0.tern", "tq1_0", 4, 256, 256},
                                           EncodeCase{"tq1_0.gauss", "tq1_0", 4, 256, 256},
                                           EncodeCase{"tq1_0.ties", "tq1_0", 1, 1024, 256},
                                           EncodeCase{"tq2_0.tern", "tq2_0", 4, 256, 256},
                                           EncodeCase{"tq2_0.gauss", "tq2_0", 1, 1024, 256},
                                           EncodeCase{"tq2_0.ties", "tq2_0", 4, 256, 256},
                                           EncodeCase{"q2_0.tern", "q2_0", 4, 256, 64},
                                           EncodeCase{"q2_0.gauss", "q2_0", 4, 256, 64},
                                           EncodeCase{"q2_0.ties", "q2_0", 4, 256, 64}));

class I2sEncodeGolden : public ::testing::TestWithParam<EncodeCase> {};

TEST_P(I2sEncodeGolden, WritesTheSameCodesAndScale) {
  const EncodeCase& c = GetParam();
  auto expected = GoldenBytes(std::string(c.file) + ".bin");
  const auto m = FromFloats(GoldenFloats(std::string(c.file) + ".out.f32"), c.rows, c.cols, c.cols);
  std::vector<std::byte> out(expected.size(), std::byte{0xee});
  const auto report = FindCodec(c.codec)->encode(m, out);
  ASSERT_TRUE(report) << report.error().message;
  // The last 28 bytes of the tail are undefined; tern writes zeros.
  std::fill(expected.end() - 28, expected.end(), std::byte{0});
  EXPECT_EQ(out, expected);
}

INSTANTIATE_TEST_SUITE_P(, I2sEncodeGolden,
                         ::testing::Values(EncodeCase{"i2_s.x86.8x256", "i2_s", 8, 256, 0},
                                           EncodeCase{"i2_s.x86.4x96", "i2_s", 4, 96, 0},
                                           EncodeCase{"i2_s.x86.3x640", "i2_s", 3, 640, 0}));

struct DenseCase {
  const char* file;
  DType type;
};
void PrintTo(const DenseCase& c, std::ostream* out) { *out << c.file; }

class DenseEncodeGolden : public ::testing::TestWithParam<DenseCase> {};

TEST_P(DenseEncodeGolden, WritesTheSameBytes) {
  const DenseCase& c = GetParam();
  const auto expected = GoldenBytes(std::string(c.file) + ".bin");
  std::vector<std::byte> out(expected.size());
  const Status status = EncodeRow(c.type, GoldenFloats(std::string(c.file) + ".in.f32"), out);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(out, expected);
}

INSTANTIATE_TEST_SUITE_P(
    , DenseEncodeGolden,
    ::testing::Values(DenseCase{"q8_0.tern", DType::kQ8_0}, DenseCase{"q8_0.gauss", DType::kQ8_0},
                      DenseCase{"q8_0.ties", DType::kQ8_0}, DenseCase{"q6_K.tern", DType::kQ6_K},
                      DenseCase{"q6_K.gauss", DType::kQ6_K}, DenseCase{"q6_K.ties", DType::kQ6_K}));

}  // namespace
}  // namespace tern
