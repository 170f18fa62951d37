#include "formats/gguf_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "support/gguf_bytes.h"

namespace tern {
namespace {

using test::KeyValue;
using test::MessageOf;
using test::Str;
using test::U32;
using test::U64;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class GgufWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path() const { return (folder_ / "model.gguf").string(); }
  std::string Written() const { return test::ReadFile(Path()); }
  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_))
      names.push_back(entry.path().filename().string());
    return names;
  }

  std::filesystem::path folder_;
};

const Codec& F32() { return DenseCodec(DType::kF32); }

TEST_F(GgufWriterTest, WritesTheWorkedExampleByteForByte) {
  GgufWriter writer;
  writer.Set("general.architecture", "x");
  const std::vector<std::byte> a(48, std::byte{1}), b(20, std::byte{2}), c(8, std::byte{3});
  ASSERT_TRUE(writer.AddTensor("a.weight", {3, 4}, F32(), a));
  ASSERT_TRUE(writer.AddTensor("b", {5}, F32(), b));
  ASSERT_TRUE(writer.AddTensor("c", {2}, F32(), c));
  const auto status = writer.Write(Path());
  ASSERT_TRUE(status) << MessageOf(status);

  std::string expected = "GGUF" + U32(3) + U64(3) + U64(1) +
                         KeyValue("general.architecture", 8, Str("x")) + Str("a.weight") + U32(2) +
                         U64(4) + U64(3) + U32(0) + U64(0) +              //
                         Str("b") + U32(1) + U64(5) + U32(0) + U64(64) +  //
                         Str("c") + U32(1) + U64(2) + U32(0) + U64(96);
  expected.resize(192);
  expected += std::string(48, 1) + std::string(16, 0) + std::string(20, 2) + std::string(12, 0) +
              std::string(8, 3) + std::string(24, 0);
  EXPECT_EQ(Written(), expected);
  EXPECT_EQ(writer.FileBytes(), expected.size());
  EXPECT_THAT(Files(), ElementsAre("model.gguf"));
}

TEST_F(GgufWriterTest, ValuesHaveExactlyTheTypesTheyWereGiven) {
  GgufWriter writer;
  std::string expected;
  const auto add = [&](const std::string& key, GgufValue value, uint32_t type,
                       const std::string& bytes) {
    writer.Set(key, std::move(value));
    expected += KeyValue(key, type, bytes);
  };
  add("u8", uint8_t{255}, 0, "\xff");
  add("i8", int8_t{-1}, 1, "\xff");
  add("u16", uint16_t{258}, 2, "\x02\x01");
  add("i16", int16_t{-2}, 3, "\xfe\xff");
  add("u32", uint32_t{7}, 4, U32(7));
  add("i32", -1, 5, U32(~0u));
  add("f32", 0.5f, 6, U32(0x3f000000u));
  add("bool", true, 7, "\x01");
  add("text", "naïve", 8, Str("naïve"));
  add("u64", uint64_t{1} << 40, 10, U64(1ull << 40));
  add("i64", int64_t{-1}, 11, U64(~0ull));
  add("f64", 0.5, 12, U64(0x3fe0000000000000ull));
  add("a.i32", std::vector<int32_t>{1, -1}, 9, U32(5) + U64(2) + U32(1) + U32(~0u));
  add("a.f32", std::vector<float>{0.5f}, 9, U32(6) + U64(1) + U32(0x3f000000u));
  add("a.bool", std::vector<bool>{true, false}, 9, U32(7) + U64(2) + std::string("\x01\x00", 2));
  add("a.text", std::vector<std::string>{"", "b"}, 9, U32(8) + U64(2) + Str("") + Str("b"));
  add("a.u8", std::vector<uint8_t>{}, 9, U32(0) + U64(0));
  ASSERT_TRUE(writer.Write(Path()));
  expected = "GGUF" + U32(3) + U64(0) + U64(17) + expected;
  expected.resize((expected.size() + 31) / 32 * 32);
  EXPECT_EQ(Written(), expected);
}

TEST_F(GgufWriterTest, AKeySetAgainKeepsItsPlace) {
  GgufWriter writer;
  writer.Set("a", uint8_t{1});
  writer.Set("b", uint8_t{2});
  writer.Set("a", uint16_t{3});
  ASSERT_TRUE(writer.Write(Path()));
  EXPECT_THAT(Written(),
              HasSubstr(KeyValue("a", 2, std::string("\x03\x00", 2)) + KeyValue("b", 0, "\x02")));
}

TEST_F(GgufWriterTest, ReadsBackThroughItsOwnReader) {
  std::vector<int8_t> q(8 * 256);
  for (size_t i = 0; i < q.size(); ++i) q[i] = static_cast<int8_t>(static_cast<int>(i * i % 3) - 1);
  const auto m = *TernaryMatrix::FromValues(8, 256, q, ScaleSpec::Tensor(0.75f));
  GgufWriter writer;
  for (const char* name : {"i2_s", "tq1_0", "tq2_0", "q2_0"}) {
    const Codec& codec = *FindCodec(name);
    // In pieces of odd size, as a producer may choose.
    ASSERT_TRUE(
        writer.AddTensor(name, {8, 256}, codec, [&](const GgufWriter::ByteSink& sink) -> Status {
          std::vector<std::byte> bytes(*codec.byte_span(8, 256));
          TERN_TRY(codec.encode(m, bytes));
          for (size_t i = 0; i < bytes.size(); i += 100)
            TERN_TRY(sink(std::span(bytes).subspan(i, std::min<size_t>(100, bytes.size() - i))));
          return {};
        }));
  }
  ASSERT_TRUE(writer.Write(Path()));
  const auto source = OpenWeights(Path(), {});
  ASSERT_TRUE(source) << MessageOf(source);
  ASSERT_EQ((*source)->tensors().size(), 4u);
  for (const TensorInfo& info : (*source)->tensors()) {
    const auto read = (*source)->ReadTernary(info.name);
    ASSERT_TRUE(read) << MessageOf(read);
    for (int64_t r = 0; r < 8; ++r)
      for (int64_t c = 0; c < 256; ++c) {
        ASSERT_EQ(read->At(r, c), m.At(r, c)) << info.name;
        ASSERT_EQ(read->ScaleAt(r, c), 0.75f) << info.name;
      }
  }
}

TEST_F(GgufWriterTest, TensorsThatGgufCannotHoldAreRefused) {
  GgufWriter writer;
  const auto refusal = [&](const std::string& name, std::vector<int64_t> shape,
                           const Codec& codec) {
    const Status status =
        writer.AddTensor(name, std::move(shape), codec, std::span<const std::byte>());
    return status ? "" : status.error().message;
  };
  EXPECT_THAT(refusal("", {4}, F32()), HasSubstr("the name has 0 bytes"));
  EXPECT_THAT(refusal(std::string(64, 'n'), {4}, F32()), HasSubstr("the name has 64 bytes"));
  EXPECT_THAT(refusal("t", {}, F32()), HasSubstr("has 0 dimensions"));
  EXPECT_THAT(refusal("t", {1, 1, 1, 1, 1}, F32()), HasSubstr("has 5 dimensions"));
  EXPECT_THAT(refusal("t", {0, 4}, F32()), HasSubstr("a dimension of 0"));
  EXPECT_THAT(refusal("t", {4, 0}, F32()), HasSubstr("tensor 't': "));
  EXPECT_THAT(refusal("t", {1, int64_t{1} << 40, int64_t{1} << 40, 4}, F32()),
              HasSubstr("tensor 't': "));
  EXPECT_THAT(refusal("t", {4, 100}, *FindCodec("tq2_0")),
              HasSubstr("needs a multiple of 256 columns"));
  EXPECT_EQ(refusal(std::string(63, 'n'), {4}, F32()), "");
  EXPECT_EQ(refusal("t", {4}, F32()), "");
  EXPECT_THAT(refusal("t", {4}, F32()), HasSubstr("added twice"));
}

TEST_F(GgufWriterTest, AFailingProducerLeavesNothingBehindAndAnOldFileAsItWas) {
  std::ofstream(Path()) << "old";
  GgufWriter writer;
  ASSERT_TRUE(writer.AddTensor("good", {8}, F32(), std::vector<std::byte>(32)));
  GgufWriter failing;
  ASSERT_TRUE(failing.AddTensor("bad", {8}, F32(), [](const GgufWriter::ByteSink& sink) -> Status {
    TERN_TRY(sink(std::vector<std::byte>(16)));
    return Fail(Code::kCorrupt, "the source broke");
  }));
  const auto status = failing.Write(Path());
  EXPECT_EQ(MessageOf(status), "tensor 'bad': the source broke");
  EXPECT_EQ(Written(), "old");
  EXPECT_THAT(Files(), ElementsAre("model.gguf"));
}

TEST_F(GgufWriterTest, AProducerOfTheWrongSizeIsAnInternalError) {
  GgufWriter writer;
  ASSERT_TRUE(writer.AddTensor("t", {8}, F32(), [](const GgufWriter::ByteSink& sink) {
    return sink(std::vector<std::byte>(31));
  }));
  const auto status = writer.Write(Path());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kInternal);
  EXPECT_EQ(status.error().message, "tensor 't': got 31 bytes to write, expected 32");
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(GgufWriterTest, AMissingFolderIsNamed) {
  const auto status = GgufWriter().Write((folder_ / "nowhere" / "m.gguf").string());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kNotFound);
  EXPECT_THAT(status.error().message, HasSubstr("nowhere/m.gguf: cannot write: No such file"));
}

TEST_F(GgufWriterTest, AFolderUnderTheNameOfTheFileIsLeftAlone) {
  std::filesystem::create_directories(folder_ / "model.gguf" / "inside");
  const auto status = GgufWriter().Write(Path());
  ASSERT_FALSE(status);
  EXPECT_THAT(Files(), ElementsAre("model.gguf"));
}

// A size limit of the process stands in for a full disk: write() fails half-way just so.
TEST_F(GgufWriterTest, AFullDiskIsAClearErrorAndLeavesNoFile) {
  GgufWriter writer;
  const std::vector<std::byte> big(4 << 20);
  ASSERT_TRUE(writer.AddTensor("big", {1 << 20}, F32(), big));
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit limit = before;
  limit.rlim_cur = 1 << 20;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const auto status = writer.Write(Path());
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kResourceExhausted);
  EXPECT_THAT(status.error().message, HasSubstr("model.gguf: cannot write: "));
  EXPECT_THAT(Files(), IsEmpty());
}

}  // namespace
}  // namespace tern
