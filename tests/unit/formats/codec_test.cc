// The worked examples of docs/formats.md as literal bytes, the rows of the table, and what encoders
// refuse.
#include "formats/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "support/golden.h"

namespace tern {
namespace {

using test::Hex;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Codec& Named(std::string_view name) {
  const Codec* codec = FindCodec(name);
  EXPECT_NE(codec, nullptr) << name;
  return *codec;
}

std::string Times(const std::string& hex, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += hex;
  return out;
}

// A matrix of one row that is zero but for the given values.
TernaryMatrix Sparse(int64_t cols, const std::map<size_t, int>& values, ScaleSpec scale) {
  std::vector<int8_t> q(static_cast<size_t>(cols));
  for (const auto& [c, v] : values) q[c] = static_cast<int8_t>(v);
  return *TernaryMatrix::FromValues(1, cols, q, std::move(scale));
}

std::vector<std::byte> Encoded(std::string_view codec, const TernaryMatrix& m) {
  std::vector<std::byte> out(*Named(codec).byte_span(m.rows(), m.cols()), std::byte{0xee});
  const auto report = Named(codec).encode(m, out);
  EXPECT_TRUE(report) << report.error().message;
  return out;
}

void ExpectExample(std::string_view codec, const std::vector<std::byte>& bytes,
                   const TernaryMatrix& expected) {
  const auto m = Named(codec).decode_ternary(expected.rows(), expected.cols(), bytes);
  ASSERT_TRUE(m) << m.error().message;
  for (int64_t r = 0; r < m->rows(); ++r)
    for (int64_t c = 0; c < m->cols(); ++c) {
      ASSERT_EQ(m->At(r, c), expected.At(r, c)) << r << ", " << c;
      ASSERT_EQ(m->ScaleAt(r, c), expected.ScaleAt(r, c)) << r << ", " << c;
    }
  std::vector<float> floats(static_cast<size_t>(m->rows() * m->cols()));
  ASSERT_TRUE(Named(codec).decode(m->rows(), m->cols(), bytes, floats));
  std::vector<float> row(static_cast<size_t>(m->cols()));
  expected.DequantizeRow(0, row);
  floats.resize(row.size());
  EXPECT_EQ(test::Bits(floats), test::Bits(row));
}

TEST(CodecExamples, I2S) {
  const auto m =
      Sparse(128, {{0, 1}, {1, -1}, {32, 1}, {64, -1}, {96, 1}}, ScaleSpec::Tensor(0.5f));
  const auto bytes = Hex("a215" + Times("55", 30) + "0000003f" + Times("00", 28));
  EXPECT_EQ(Encoded("i2_s", m), bytes);
  ExpectExample("i2_s", bytes, m);
}

const std::map<size_t, int> kTqExample = {{0, 1},   {1, -1},   {32, 1}, {96, -1},
                                          {160, 1}, {240, -1}, {244, 1}};

TEST(CodecExamples, TQ2_0) {
  const auto m = Sparse(256, kTqExample, ScaleSpec::Tensor(0.5f));
  auto bytes = Hex(Times("55", 64) + "0038");
  bytes[0] = std::byte{0x1a};
  bytes[1] = std::byte{0x54};
  bytes[32] = std::byte{0x59};
  bytes[48] = std::byte{0x15};
  bytes[52] = std::byte{0x95};
  EXPECT_EQ(Encoded("tq2_0", m), bytes);
  ExpectExample("tq2_0", bytes, m);
}

TEST(CodecExamples, TQ1_0) {
  const auto m = Sparse(256, kTqExample, ScaleSpec::Tensor(0.5f));
  const auto bytes = Hex("ef2b" + Times("80", 30) + "d5" + Times("80", 15) + "467f7f7f0038");
  EXPECT_EQ(Encoded("tq1_0", m), bytes);
  ExpectExample("tq1_0", bytes, m);
}

TEST(CodecExamples, Q2_0) {
  const auto m = Sparse(64, {{0, 1}, {1, -1}, {3, 1}, {4, -1}}, ScaleSpec::Tensor(0.5f));
  const auto bytes = Hex("00389254" + Times("55", 14));
  EXPECT_EQ(Encoded("q2_0", m), bytes);
  ExpectExample("q2_0", bytes, m);
}

TEST(CodecExamples, RowScaledTypesOfIk) {
  const auto m = Sparse(64, {{0, 1}, {1, 1}, {3, -1}}, {ScaleKind::kRow, 0, {1.0f}});
  ExpectExample("iq1_bn", Hex("003c68" + Times("80", 11) + "2b"), m);
  ExpectExample("iq2_bn", Hex("0000803f56565554" + Times("55", 12)), m);
}

TEST(CodecExamples, Q2BlocksOf128) {
  const auto m = Sparse(128, {{0, 1}, {1, -1}, {127, 1}}, ScaleSpec::Tensor(0.5f));
  const auto bytes = Hex("003852" + Times("55", 30) + "95");
  ExpectExample("pq2_0", bytes, m);
  ExpectExample("q2_0_g128", bytes, m);
}

TEST(CodecExamples, ACodeOfThreeIsTwiceTheScaleForFloatsAndCorruptForMatrices) {
  struct Example {
    const char* codec;
    std::string hex;
    int64_t cols;
    int64_t column;
  };
  const Example examples[] = {
      {"q2_0", "0038" + Times("55", 15) + "d5", 64, 63},
      {"pq2_0", "0038" + Times("55", 31) + "d5", 128, 127},
      {"tq2_0", Times("55", 63) + "d5" + "0038", 256, 255},
      {"iq2_bn", "0000003f" + Times("55", 15) + "d5", 64, 63},
  };
  for (const Example& e : examples) {
    std::vector<float> floats(static_cast<size_t>(e.cols));
    ASSERT_TRUE(Named(e.codec).decode(1, e.cols, Hex(e.hex), floats));
    EXPECT_EQ(floats.back(), 1.0f) << e.codec;
    const auto m = Named(e.codec).decode_ternary(1, e.cols, Hex(e.hex));
    ASSERT_FALSE(m);
    EXPECT_EQ(m.error().code, Code::kCorrupt);
    EXPECT_THAT(m.error().message, HasSubstr(fmt::format("row 0, column {} ", e.column)));
  }
}

TEST(CodecTable, NamesAreUniqueAndFoundInAnyCase) {
  std::set<std::string_view> names;
  for (const Codec* codec : AllCodecs()) {
    EXPECT_TRUE(names.insert(codec->name).second) << codec->name;
    EXPECT_EQ(FindCodec(codec->name), codec);
    EXPECT_NE(codec->byte_span, nullptr);
    EXPECT_NE(codec->decode, nullptr);
    EXPECT_EQ(codec->decode_ternary == nullptr, codec->dense.has_value()) << codec->name;
  }
  EXPECT_EQ(FindCodec("TQ2_0"), FindCodec("tq2_0"));
  EXPECT_EQ(FindCodec("tl2"), nullptr);
  EXPECT_EQ(names.size(), 19u);
}

TEST(CodecTable, DenseTypesHaveTheirRow) {
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0,
                           DType::kQ4_K, DType::kQ6_K}) {
    EXPECT_EQ(DenseCodec(type).dense, type);
    EXPECT_EQ(DenseCodec(type).name, Info(type).name);
    EXPECT_EQ(DenseCodec(type).block_elems, Info(type).block_elems);
  }
}

TEST(CodecTable, TernWritesFourTernaryTypes) {
  std::set<std::string_view> written;
  for (const Codec* codec : AllCodecs())
    if (codec->encode) written.insert(codec->name);
  EXPECT_EQ(written, (std::set<std::string_view>{"i2_s", "tq1_0", "tq2_0", "q2_0"}));
}

TEST(CodecTable, SpansFollowTheLayouts) {
  EXPECT_EQ(Named("i2_s").byte_span(2560, 6912), 2560u * 6912 / 4 + 32);
  EXPECT_EQ(Named("i2_s").byte_span(4, 96), 128u);
  EXPECT_EQ(Named("tq1_0").byte_span(3, 512), 3u * 2 * 54);
  EXPECT_EQ(Named("tq2_0").byte_span(3, 512), 3u * 2 * 66);
  EXPECT_EQ(Named("q2_0").byte_span(3, 128), 3u * 2 * 18);
  EXPECT_EQ(Named("q2_0_g128").byte_span(3, 128), 3u * 34);
  EXPECT_EQ(Named("ptq1_0").byte_span(3, 128), 3u * 28);
  EXPECT_EQ(Named("iq1_bn").byte_span(3, 128), 3u * (2 + 26));
  EXPECT_EQ(Named("iq2_bn").byte_span(3, 128), 3u * (4 + 32));
  EXPECT_EQ(Named("iq2_bn_r4").byte_span(8, 128), 2u * (16 + 128));
  EXPECT_EQ(Named("f16").byte_span(3, 5), 30u);
}

TEST(CodecTable, ShapesThatNoMatrixHasAreRefusedByEveryType) {
  const int64_t big = int64_t{1} << 40;
  for (const Codec* codec : AllCodecs()) {
    for (const auto& [rows, cols] :
         {std::pair<int64_t, int64_t>{0, 256}, {4, 0}, {-4, 256}, {4, -256}, {big, big * 256}}) {
      const auto span = codec->byte_span(rows, cols);
      ASSERT_FALSE(span) << codec->name << rows << " " << cols;
      EXPECT_EQ(span.error().code, Code::kInvalidArgument);
    }
  }
}

TEST(Encode, Binary16ScalesAreRoundedAndTheErrorReported) {
  const float scale = 1.21885478f;  // a real one
  const auto m = Sparse(256, {{3, 1}}, ScaleSpec::Tensor(scale));
  std::vector<std::byte> out(66);
  const auto report = Named("tq2_0").encode(m, out);
  ASSERT_TRUE(report);
  const float stored = Named("tq2_0").decode_ternary(1, 256, out)->ScaleAt(0, 0);
  EXPECT_EQ(stored, 1.21875f);
  EXPECT_DOUBLE_EQ(report->max_scale_error, (static_cast<double>(scale) - stored) / scale);
  std::vector<std::byte> exact(96);
  EXPECT_EQ(Named("i2_s").encode(m, exact)->max_scale_error, 0);
  EXPECT_EQ(Named("i2_s").decode_ternary(1, 256, exact)->ScaleAt(0, 0), scale);
}

std::string RefusalOf(std::string_view codec, const TernaryMatrix& m) {
  std::vector<std::byte> out(*Named(codec).byte_span(m.rows(), m.cols()));
  const auto report = Named(codec).encode(m, out);
  if (report) return "";
  EXPECT_EQ(report.error().code, Code::kUnsupported);
  return report.error().message;
}

TEST(Encode, ScalesThatBinary16CannotHoldAreRefused) {
  for (const float scale : {1e6f, -1e6f, 1e-9f}) {
    const auto m = Sparse(256, {{3, 1}}, ScaleSpec::Tensor(scale));
    for (const char* codec : {"tq1_0", "tq2_0", "q2_0"})
      EXPECT_THAT(RefusalOf(codec, m), HasSubstr("does not fit the 16-bit scales"));
    EXPECT_EQ(RefusalOf("i2_s", m), "");
  }
  EXPECT_EQ(RefusalOf("tq2_0", Sparse(256, {}, ScaleSpec::Tensor(0))), "");
}

TEST(Encode, ScalesThatChangeInsideAGroupAreRefused) {
  const auto fine = Sparse(256, {{3, 1}}, {ScaleKind::kGroup, 64, {1, 1, 2, 2}});
  EXPECT_EQ(RefusalOf("q2_0", fine), "");
  EXPECT_THAT(
      RefusalOf("tq2_0", fine),
      HasSubstr("row 0 has scale 1 at column 0 but 2 at column 128; this type has one scale "
                "for 256 columns"));
  EXPECT_THAT(RefusalOf("i2_s", fine), HasSubstr("one scale for the whole matrix"));
  const auto equal = Sparse(256, {{3, 1}}, {ScaleKind::kGroup, 64, {2, 2, 2, 2}});
  EXPECT_EQ(RefusalOf("tq2_0", equal), "");
  EXPECT_EQ(RefusalOf("i2_s", equal), "");
  const auto coarse = Sparse(512, {{3, 1}}, {ScaleKind::kGroup, 512, {2}});
  EXPECT_EQ(RefusalOf("tq2_0", coarse), "");
}

TEST(Encode, ABufferOfAnotherSizeIsRefused) {
  const auto m = Sparse(256, {}, ScaleSpec::Tensor(1));
  std::vector<std::byte> out(65);
  for (const char* codec : {"i2_s", "tq1_0", "tq2_0", "q2_0"})
    EXPECT_FALSE(Named(codec).encode(m, out));
}

}  // namespace
}  // namespace tern
