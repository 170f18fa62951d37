// Opening files and reading tensors out of them.
#include "formats/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/gguf_bytes.h"

namespace tern {
namespace {

using test::Hex;
using test::KeyValue;
using test::MessageOf;
using test::OpenBytes;
using test::RawGguf;
using test::RawTensor;
using test::TextOf;
using test::U32;
using test::WithOffset;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint32_t kF32 = 0, kF16 = 1, kQ5_0 = 6, kTq2 = 35, kI2s = 36, kQ2 = 42;
const std::string kOne = U32(0x3f800000u);
const std::string kNan = U32(0x7fc00000u);

std::string I2s(size_t values, const std::string& scale, char codes = 0x55) {
  return std::string(values / 4, codes) + scale + std::string(28, '\xaa');
}

RawGguf Two() {
  RawGguf raw;
  raw.tensors = {{"w", {128, 2}, kI2s, I2s(256, kOne)},
                 {"norm", {3}, kF32, kOne + kOne + U32(0x40000000u)}};
  return raw;
}

TEST(Gguf, ListsItsTensorsOutermostDimensionFirst) {
  const auto source = *OpenBytes(Two().File());
  EXPECT_EQ(source->path(), "test.gguf");
  ASSERT_EQ(source->tensors().size(), 2u);
  const TensorInfo& w = source->tensors()[0];
  EXPECT_EQ(w.name, "w");
  EXPECT_THAT(w.shape, ElementsAre(2, 128));
  EXPECT_EQ(w.rows(), 2);
  EXPECT_EQ(w.cols(), 128);
  EXPECT_EQ(w.type, "I2_S");
  EXPECT_TRUE(w.ternary);
  EXPECT_EQ(w.bytes, 96u);
  EXPECT_EQ(w.offset % 32, 0u);
  const TensorInfo* norm = source->Find("norm");
  ASSERT_NE(norm, nullptr);
  EXPECT_THAT(norm->shape, ElementsAre(3));
  EXPECT_FALSE(norm->ternary);
  EXPECT_EQ(source->Find("nothing"), nullptr);
}

TEST(Gguf, DenseTensorsAreReadWithoutACopyAndOutliveTheSource) {
  const auto file = MappedFile::FromBytes("test.gguf", test::Bytes(Two().File()));
  const auto begin = file->bytes().data();
  auto source = *OpenGguf(file, {});
  const auto norm = source->ReadDense("norm");
  ASSERT_TRUE(norm) << MessageOf(norm);
  EXPECT_EQ(norm->type, DType::kF32);
  EXPECT_EQ(norm->rows, 1);
  EXPECT_EQ(norm->cols, 3);
  EXPECT_EQ(norm->bytes.data(), begin + source->Find("norm")->offset);
  source.reset();
  std::vector<float> values(3);
  DecodeRow(norm->type, norm->Row(0), values);
  EXPECT_THAT(values, ElementsAre(1, 1, 2));
}

TEST(Gguf, TernaryTensorsAreDecoded) {
  RawGguf raw = Two();
  raw.tensors[0].data[0] = static_cast<char>(0xa2);
  raw.tensors[0].data[1] = 0x15;
  const auto source = *OpenBytes(raw.File());
  const auto w = source->ReadTernary("w");
  ASSERT_TRUE(w) << MessageOf(w);
  EXPECT_EQ(w->rows(), 2);
  EXPECT_EQ(w->At(0, 0), 1);
  EXPECT_EQ(w->At(0, 1), -1);
  EXPECT_EQ(w->At(0, 32), 1);
  EXPECT_EQ(w->At(0, 64), -1);
  EXPECT_EQ(w->At(0, 96), 1);
  EXPECT_EQ(w->At(1, 0), 0);
  EXPECT_THAT(w->scale().values, ElementsAre(1));
  const auto floats = source->ReadF32("w");
  ASSERT_TRUE(floats);
  EXPECT_EQ((*floats)[1], -1);
  EXPECT_EQ(floats->size(), 256u);
}

TEST(Gguf, ReadingAsTheWrongKindSaysWhatTheTensorIs) {
  const auto source = *OpenBytes(Two().File());
  EXPECT_EQ(MessageOf(source->ReadDense("w")),
            "test.gguf: tensor 'w': its type I2_S is ternary, expected a dense type");
  EXPECT_EQ(MessageOf(source->ReadTernary("norm")),
            "test.gguf: tensor 'norm': its type F32 is dense, expected a ternary type");
  const auto missing = source->ReadF32("no\nthing");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_EQ(missing.error().message, "test.gguf: there is no tensor 'no\\x0athing'");
}

TEST(Gguf, CodesAndScalesThatMeanNothingAreCorruptWithTheirPlace) {
  RawGguf raw = Two();
  raw.tensors[0].data[32 + 5] = 0x57;  // block 1, byte 5: element 96 + 5 of row 1 has code 3
  const auto source = *OpenBytes(raw.File());
  for (const auto& message : {MessageOf(source->ReadTernary("w")), MessageOf(source->ReadF32("w"))})
    EXPECT_EQ(message, "test.gguf: tensor 'w': row 1, column 101 holds code 3, expected 0, 1 or 2");
  EXPECT_EQ(source->ReadTernary("w").error().code, Code::kCorrupt);

  raw.tensors[0].data = I2s(256, kNan);
  EXPECT_EQ(MessageOf((*OpenBytes(raw.File()))->ReadTernary("w")),
            "test.gguf: tensor 'w': the scale is nan, expected a finite number");

  raw.tensors[0] = {
      "w",
      {256, 2},
      kTq2,
      std::string(64, 0x55) + "\x01\x38" + std::string(64, 0x55) + std::string("\x00\x7c", 2)};
  EXPECT_EQ(MessageOf((*OpenBytes(raw.File()))->ReadTernary("w")),
            "test.gguf: tensor 'w': the scale at row 1, column 0 is inf, expected a finite number");
}

TEST(Gguf, TypesThatAreNotReadAreListedAndRefusedOnlyWhenRead) {
  RawGguf raw = Two();
  raw.tensors.push_back({"old", {32}, kQ5_0, std::string(22, '\0')});
  const auto source = OpenBytes(raw.File());
  ASSERT_TRUE(source) << MessageOf(source);
  EXPECT_EQ((*source)->Find("old")->type, "Q5_0");
  EXPECT_EQ((*source)->Find("old")->bytes, 22u);
  for (const auto& message :
       {MessageOf((*source)->ReadTernary("old")), MessageOf((*source)->ReadDense("old")),
        MessageOf((*source)->ReadF32("old"))})
    EXPECT_THAT(message, HasSubstr("test.gguf: tensor 'old': type Q5_0 can't be used"));
  EXPECT_EQ((*source)->ReadF32("old").error().code, Code::kUnsupported);
  EXPECT_TRUE((*source)->ReadTernary("w"));
}

TEST(Gguf, DataBehindTheEndOfTheFileNamesTensorAndSizes) {
  const std::string file = Two().File();
  const size_t data = Two().Header().size();
  const auto open = [&](size_t size) { return MessageOf(OpenBytes(file.substr(0, size))); };
  EXPECT_EQ(open(data + 96 + 12), "");  // the padding after the last tensor may be absent
  EXPECT_EQ(open(data + 96 + 11),
            fmt::format("test.gguf: the file is cut: tensor 'norm' needs 12 bytes at offset 96 of "
                        "the data, which begins at {}; the file has {} bytes",
                        data, data + 96 + 11));
  EXPECT_THAT(open(data + 95), HasSubstr("tensor 'w' needs 96 bytes"));
  EXPECT_THAT(open(data), HasSubstr("tensor 'w' needs 96 bytes"));
  EXPECT_THAT(open(data - 1), HasSubstr("tensor 'w' needs 96 bytes"));
}

TEST(Gguf, OverlapsAreErrorsAndGapsAreNot) {
  const std::string file = Two().File();
  EXPECT_EQ(
      MessageOf(OpenBytes(WithOffset(file, "norm", 64))),
      "test.gguf: tensor 'w' takes 96 bytes at data offset 0, but tensor 'norm' begins at 64");
  EXPECT_THAT(MessageOf(OpenBytes(WithOffset(file, "norm", 0))), HasSubstr("begins at 0"));
  EXPECT_THAT(MessageOf(OpenBytes(WithOffset(file, "norm", ~31ull))), HasSubstr("the file is cut"));
  EXPECT_EQ(MessageOf(OpenBytes(WithOffset(file + std::string(64, '\0'), "norm", 160))), "");
}

TEST(Gguf, TensorsMayLieInAnyOrder) {
  std::string file = Two().File();
  file = WithOffset(file, "norm", 0);
  file = WithOffset(file, "w", 32);
  ASSERT_EQ(MessageOf(OpenBytes(file)), "");
}

std::string Q2(size_t values, size_t group) {
  std::string out;
  for (size_t i = 0; i < values; i += group)
    out += std::string("\x00\x38", 2) + std::string(group / 4, 0x55);
  return out;
}

TEST(Gguf, SmallTensorsOfId42FollowTheLargeOnes) {
  for (const size_t group : {64u, 128u}) {
    RawGguf raw;
    raw.tensors = {{"small", {128, 1}, kQ2, Q2(128, group)},
                   {"large", {256, 16}, kQ2, Q2(4096, group)}};
    const auto source = OpenBytes(raw.File());
    ASSERT_TRUE(source) << MessageOf(source);
    const auto small = (*source)->ReadTernary("small");
    ASSERT_TRUE(small) << MessageOf(small);
    EXPECT_EQ(small->scale().group, static_cast<int64_t>(group));
    EXPECT_EQ((*source)->Find("small")->bytes, Q2(128, group).size());
  }
}

TEST(Gguf, SmallTensorsOfId42StayOpenWhenTheLargeOnesDisagree) {
  RawGguf raw;
  raw.tensors = {{"small", {128, 1}, kQ2, Q2(128, 64)},
                 {"large64", {256, 16}, kQ2, Q2(4096, 64)},
                 {"large128", {256, 16}, kQ2, Q2(4096, 128)}};
  const auto source = OpenBytes(raw.File());
  ASSERT_TRUE(source) << MessageOf(source);
  EXPECT_FALSE((*source)->ReadTernary("small"));
  EXPECT_EQ((*source)->ReadTernary("large64")->scale().group, 64);
  EXPECT_EQ((*source)->ReadTernary("large128")->scale().group, 128);
}

TEST(Gguf, SmallTensorsOfId42AloneAreListedButNotRead) {
  RawGguf raw;
  raw.tensors = {{"small", {128, 1}, kQ2, Q2(128, 64)}};
  const auto source = OpenBytes(raw.File());
  ASSERT_TRUE(source) << MessageOf(source);
  EXPECT_EQ((*source)->tensors()[0].type, "Q2_0 or Q2_0 (group 128)");
  EXPECT_FALSE((*source)->tensors()[0].ternary);
  EXPECT_THAT(MessageOf((*source)->ReadTernary("small")), HasSubstr("too few for their size"));
}

TEST(Gguf, TheI2SLayoutIsAnOption) {
  RawGguf raw;
  std::string codes(32, 0x55);
  codes[0] = static_cast<char>(0x95);  // first code of the byte: +1; all others 0
  codes[1] = static_cast<char>(0x65);  // second code
  raw.tensors = {{"w", {32, 4}, kI2s, codes + kOne + std::string(28, '\0')}};
  const auto at = [&](I2sLayout layout, int64_t r, int64_t c) {
    return (*OpenBytes(raw.File(), layout))->ReadTernary("w")->At(r, c);
  };
  EXPECT_EQ(at(I2sLayout::kX86, 0, 0), 1);
  EXPECT_EQ(at(I2sLayout::kX86, 1, 1), 1);   // flat 32 + 1
  EXPECT_EQ(at(I2sLayout::kArm, 0, 17), 1);  // flat 16 + 1
  EXPECT_EQ(at(I2sLayout::kArm, 1, 1), 0);
  EXPECT_EQ(at(I2sLayout::kRows4, 0, 0), 1);
  EXPECT_EQ(at(I2sLayout::kRows4, 1, 1), 1);
  EXPECT_EQ(at(I2sLayout::kRows4, 0, 17), 0);
}

TEST(Gguf, ScalarsAndHigherDimensionsAreReadAsFloatsOnly) {
  RawGguf raw;
  raw.tensors = {{"scalar", {}, kF32, kOne},
                 {"cube", {2, 2, 2}, kF32, kOne + kOne + kOne + kOne + kOne + kOne + kOne + kOne},
                 {"flat", {2, 2, 1, 1}, kF32, kOne + kOne + kOne + kOne}};
  const auto source = *OpenBytes(raw.File());
  EXPECT_THAT(*source->ReadF32("scalar"), ElementsAre(1));
  EXPECT_EQ(source->ReadF32("cube")->size(), 8u);
  EXPECT_EQ(MessageOf(source->ReadDense("cube")),
            "test.gguf: tensor 'cube': it has 3 dimensions, expected a matrix");
  EXPECT_EQ(source->ReadDense("flat")->rows, 2);
  EXPECT_EQ(source->ReadDense("scalar")->rows, 1);
}

TEST(Gguf, AFileWithAVocabularyOnlyOpens) {
  RawGguf raw;
  raw.key_values.push_back(KeyValue("tokenizer.ggml.tokens", 9,
                                    U32(8) + test::U64(2) + test::Str("a") + test::Str("\xff")));
  const auto source = OpenBytes(raw.Header());
  ASSERT_TRUE(source) << MessageOf(source);
  EXPECT_TRUE((*source)->tensors().empty());
  EXPECT_EQ((*source)->metadata().Strings("tokenizer.ggml.tokens")->at(1), "\xff");
}

TEST(Gguf, ModelsWithRotatedActivationsAreRefused) {
  RawGguf raw = Two();
  raw.key_values.push_back(KeyValue("prism.hadamard.version", 4, U32(1)));
  const auto source = OpenBytes(raw.File());
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, Code::kUnsupported);
  EXPECT_THAT(source.error().message,
              HasSubstr("test.gguf: metadata key 'prism.hadamard.version'"));
  raw.key_values.back() = KeyValue("prism.hadamarx", 4, U32(1));
  EXPECT_TRUE(OpenBytes(raw.File()));
}

TEST(Gguf, OnePartOfASplitModelIsRefused) {
  RawGguf raw = Two();
  raw.key_values.push_back(KeyValue("split.count", 2, std::string("\x03\x00", 2)));
  EXPECT_THAT(MessageOf(OpenBytes(raw.File())), HasSubstr("one of 3 parts of a split model"));
  raw.key_values.back() = KeyValue("split.count", 2, std::string("\x01\x00", 2));
  EXPECT_TRUE(OpenBytes(raw.File()));
}

class OpenWeightsTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content) {
    const auto path = std::filesystem::path(::testing::TempDir()) / name;
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }
};

TEST_F(OpenWeightsTest, OpensAGgufFileWhateverItsName) {
  const auto source = OpenWeights(Write("model.bin", Two().File()), {});
  ASSERT_TRUE(source) << MessageOf(source);
  EXPECT_EQ((*source)->format(), "GGUF v3");
  EXPECT_TRUE((*source)->ReadTernary("w"));
}

TEST_F(OpenWeightsTest, SaysWhatItFoundInstead) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  EXPECT_THAT(
      MessageOf(OpenWeights(Write("m.safetensors", test::U64(header.size()) + header + kOne), {})),
      HasSubstr("pass the folder that holds it"));
  EXPECT_THAT(MessageOf(OpenWeights(Write("zip", "PK\x03\x04stuff"), {})),
              HasSubstr("found first bytes '50 4b 03 04 73 74 75 66', expected a GGUF file"));
  EXPECT_THAT(MessageOf(OpenWeights(Write("empty", ""), {})), HasSubstr("the file is empty"));
  EXPECT_THAT(
      MessageOf(OpenWeights(Write("lfs", "version https://git-lfs.github.com/spec/v1\noid"), {})),
      HasSubstr("Git LFS pointer"));
  const auto missing = OpenWeights("/nonexistent/model.gguf", {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound);
}

}  // namespace
}  // namespace tern
