// The container: the 27 small files judged by upstream's reader, the example of docs/formats.md,
// and every rule that a file can break.
#include "formats/gguf_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "support/gguf_bytes.h"

namespace tern {
namespace {

using test::Bytes;
using test::Hex;
using test::KeyValue;
using test::MessageOf;
using test::OpenBytes;
using test::RawGguf;
using test::Str;
using test::U32;
using test::U64;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::filesystem::path Container(const std::string& file) {
  return std::filesystem::path(TERN_TEST_DATA) / "gguf" / file;
}

TEST(GgufContainers, HaveTheVerdictsOfTheUpstreamReader) {
  // Where tern knows better: I2_S is a type here; data and sizes beyond the file are not let
  // through.
  const std::map<std::string, std::string> own_verdict = {{"i2_s_type36.gguf", "accept"},
                                                          {"cut_data.gguf", "reject"},
                                                          {"bad_dims_overflow.gguf", "reject"}};
  const auto cases = nlohmann::json::parse(test::ReadFile(Container("expect.json")));
  ASSERT_EQ(cases.size(), 27u);
  for (const auto& c : cases) {
    const std::string file = c["file"];
    SCOPED_TRACE(file);
    const auto own = own_verdict.find(file);
    const std::string verdict =
        own != own_verdict.end() ? own->second : c["upstream"].get<std::string>();
    const auto source = OpenGguf(*MappedFile::Open(Container(file).string()), SourceOptions{});
    EXPECT_EQ(source.has_value(), verdict == "accept") << MessageOf(source);
    if (!source) {
      EXPECT_THAT(source.error().message, HasSubstr(file + ": "));
      continue;
    }
    if (!c.contains("data_offset")) continue;
    const auto mapped = *MappedFile::Open(Container(file).string());
    const auto header = ParseGgufHeader(mapped->bytes());
    EXPECT_EQ(header->version, c["version"]);
    EXPECT_EQ(header->alignment, c["alignment"]);
    EXPECT_EQ(header->data_offset, c["data_offset"]);
    std::vector<uint64_t> offsets;
    for (const GgufTensor& tensor : header->tensors) offsets.push_back(tensor.offset);
    EXPECT_EQ(offsets, c["tensor_offsets"].get<std::vector<uint64_t>>());
  }
}

TEST(GgufContainers, AllScalarTypesAndArraysAreRead) {
  const auto source = *OpenGguf(*MappedFile::Open(Container("ok_v3_alltypes.gguf").string()), {});
  EXPECT_EQ(source->format(), "GGUF v3");
  EXPECT_GE(source->metadata().all().size(), 18u);
  EXPECT_EQ(source->metadata().String("general.architecture"), "x");
  EXPECT_EQ(source->tensors().size(), 3u);
  EXPECT_EQ(source->tensors()[1].offset, 672u + 64u);
}

// Section 1.6 of the format's description, byte by byte.
TEST(GgufHeader, TheWorkedExampleIsRead) {
  auto file =
      Hex("47475546 03000000 0300000000000000 0100000000000000"
          "1400000000000000 67656e6572616c2e617263686974656374757265 08000000 0100000000000000 78"
          "0800000000000000 612e776569676874 02000000 0400000000000000 0300000000000000 00000000 "
          "0000000000000000"
          "0100000000000000 62 01000000 0500000000000000 00000000 4000000000000000"
          "0100000000000000 63 01000000 0200000000000000 00000000 6000000000000000");
  const auto header = ParseGgufHeader(file);
  ASSERT_TRUE(header) << MessageOf(header);
  EXPECT_EQ(header->version, 3u);
  EXPECT_EQ(header->metadata.String("general.architecture"), "x");
  EXPECT_EQ(header->data_offset, 192u);
  ASSERT_EQ(header->tensors.size(), 3u);
  EXPECT_EQ(header->tensors[0].name, "a.weight");
  EXPECT_EQ(header->tensors[0].cols(), 4);
  EXPECT_EQ(header->tensors[0].rows(), 3);
  EXPECT_EQ(header->tensors[2].offset, 96u);
}

std::string HeaderError(const std::string& file) { return MessageOf(ParseGgufHeader(Bytes(file))); }

std::string WithKeyValue(const std::string& kv) {
  RawGguf raw;
  raw.key_values.push_back(kv);
  return raw.Header();
}

TEST(GgufHeader, EveryValueTypeIsRead) {
  RawGguf raw;
  raw.key_values = {
      KeyValue("u8", 0, "\xff"),
      KeyValue("i8", 1, "\xff"),
      KeyValue("u16", 2, "\xff\xff"),
      KeyValue("i16", 3, "\xfe\xff"),
      KeyValue("u32", 4, U32(0xffffffffu)),
      KeyValue("i32", 5, U32(0xffffffffu)),
      KeyValue("f32", 6, U32(0x3f000000u)),
      KeyValue("bool", 7, "\x02"),
      KeyValue("text", 8, Str(std::string("\0\xff", 2))),
      KeyValue("u64", 10, U64(~0ull)),
      KeyValue("i64", 11, U64(~0ull)),
      KeyValue("f64", 12, U64(0x3fe0000000000000ull)),
      KeyValue("a.i16", 9, U32(3) + U64(2) + std::string("\x01\x00\xff\xff", 4)),
      KeyValue("a.f32", 9, U32(6) + U64(1) + U32(0x3f000000u)),
      KeyValue("a.bool", 9, U32(7) + U64(2) + std::string("\x02\x00", 2)),
      KeyValue("a.text", 9, U32(8) + U64(2) + Str("") + Str("\xc3")),
      KeyValue("a.u64", 9, U32(10) + U64(1) + U64(5)),
      KeyValue("a.huge", 9, U32(10) + U64(2) + U64(5) + U64(1ull << 63)),
      KeyValue("a.none", 9, U32(4) + U64(0)),
  };
  const auto header = ParseGgufHeader(Bytes(raw.Header()));
  ASSERT_TRUE(header) << MessageOf(header);
  const Metadata& m = header->metadata;
  EXPECT_EQ(m.Int("u8"), 255);
  EXPECT_EQ(m.Int("i8"), -1);
  EXPECT_EQ(m.Int("u16"), 65535);
  EXPECT_EQ(m.Int("i16"), -2);
  EXPECT_EQ(m.Int("u32"), 4294967295);
  EXPECT_EQ(m.Int("i32"), -1);
  EXPECT_EQ(m.Float("f32"), 0.5);
  EXPECT_EQ(m.Bool("bool"), true);
  EXPECT_EQ(m.String("text"), std::string("\0\xff", 2));
  EXPECT_EQ(std::get<uint64_t>(*m.Find("u64")), ~0ull);
  EXPECT_EQ(m.Int("i64"), -1);
  EXPECT_EQ(m.Float("f64"), 0.5);
  EXPECT_EQ(m.Ints("a.i16"), (std::vector<int64_t>{1, -1}));
  EXPECT_EQ(m.Floats("a.f32"), (std::vector<double>{0.5}));
  EXPECT_EQ(std::get<std::vector<bool>>(*m.Find("a.bool")), (std::vector<bool>{true, false}));
  EXPECT_EQ(m.Strings("a.text"), (std::vector<std::string>{"", "\xc3"}));
  EXPECT_EQ(m.Ints("a.u64"), (std::vector<int64_t>{5}));
  EXPECT_EQ(m.Floats("a.huge"), (std::vector<double>{5, 0x1p63}));
  EXPECT_EQ(m.Ints("a.none"), std::vector<int64_t>{});
}

TEST(GgufHeader, MagicAndVersionAreCheckedFirst) {
  EXPECT_THAT(
      HeaderError("PK\x03\x04 and more"),
      HasSubstr("not a GGUF file: found first bytes '50 4b 03 04', expected '47 47 55 46'"));
  EXPECT_THAT(HeaderError("GG"), HasSubstr("found first bytes '47 47'"));
  EXPECT_THAT(HeaderError("GGUF" + U32(1)), HasSubstr("found GGUF version 1, expected 2 or 3"));
  EXPECT_THAT(HeaderError("GGUF" + U32(4)), HasSubstr("found GGUF version 4, expected 2 or 3"));
  EXPECT_THAT(HeaderError("GGUF" + U32(0)), HasSubstr("found GGUF version 0"));
  EXPECT_THAT(HeaderError("GGUF" + U32(0x03000000)), HasSubstr("big-endian"));
}

TEST(GgufHeader, CountsThatCannotFitAreRefusedBeforeAnythingIsReserved) {
  const std::string max = U64(~0ull);
  EXPECT_THAT(HeaderError("GGUF" + U32(3) + max + U64(0)), HasSubstr("tensors, but only 0 bytes"));
  EXPECT_THAT(HeaderError("GGUF" + U32(3) + U64(0) + max), HasSubstr("metadata keys, but only"));
  EXPECT_THAT(HeaderError(WithKeyValue(KeyValue("k", 8, max))), HasSubstr("the file is cut"));
  // Counts whose size in bytes wraps around.
  for (const uint32_t type : {0u, 3u, 4u, 8u, 10u, 12u, 7u})
    for (const uint64_t count : {~0ull, 1ull << 61, (1ull << 61) + 1, 1ull << 63, 1ull << 40})
      EXPECT_THAT(HeaderError(WithKeyValue(KeyValue("k", 9, U32(type) + U64(count)))),
                  HasSubstr("the file is cut: the value of 'k' needs"));
}

TEST(GgufHeader, KeysAndValueTypesHaveRules) {
  EXPECT_THAT(HeaderError(WithKeyValue(KeyValue("", 0, "x"))), HasSubstr("empty metadata key"));
  EXPECT_THAT(HeaderError(WithKeyValue(KeyValue("general.architecture", 0, "x"))),
              HasSubstr("'general.architecture' appears twice"));
  EXPECT_THAT(HeaderError(WithKeyValue(KeyValue("k", 13, "x"))),
              HasSubstr("the value of 'k' has type 13, expected 0 to 12"));
  EXPECT_THAT(HeaderError(WithKeyValue(KeyValue("k", 9, U32(13) + U64(0)))), HasSubstr("type 13"));
  EXPECT_THAT(HeaderError(WithKeyValue(KeyValue("k", 9, U32(9) + U64(0)))),
              HasSubstr("an array of arrays"));
  EXPECT_THAT(HeaderError(WithKeyValue(KeyValue("two\nlines", 13, "x"))),
              HasSubstr("'two\\x0alines'"));
}

TEST(GgufHeader, TheAlignmentIsAPowerOfTwoOf32Bits) {
  const auto with = [](uint32_t type, const std::string& value) {
    return WithKeyValue(KeyValue("general.alignment", type, value));
  };
  EXPECT_THAT(HeaderError(with(4, U32(0))), HasSubstr("is 0, expected a power of two"));
  EXPECT_THAT(HeaderError(with(4, U32(24))), HasSubstr("is 24, expected a power of two"));
  EXPECT_THAT(HeaderError(with(10, U64(64))), HasSubstr("has value type 10, expected 4 (u32)"));
  EXPECT_EQ(HeaderError(with(4, U32(1))), "");
  EXPECT_EQ(HeaderError(with(4, U32(1u << 31))), "");
}

RawGguf OneTensor(const std::string& name, std::vector<uint64_t> dims, uint32_t type = 0,
                  const std::string& data = std::string(64, '\0')) {
  RawGguf raw;
  raw.tensors = {{name, std::move(dims), type, data}};
  return raw;
}

TEST(GgufHeader, TensorsHaveRules) {
  EXPECT_THAT(HeaderError(OneTensor("", {4}).File()), HasSubstr("a name of 0 bytes"));
  EXPECT_EQ(HeaderError(OneTensor(std::string(63, 'n'), {4}).File()), "");
  EXPECT_THAT(HeaderError(OneTensor(std::string(64, 'n'), {4}).File()),
              HasSubstr("a name of 64 bytes, expected 1 to 63"));
  EXPECT_THAT(HeaderError(OneTensor("t", {1, 1, 1, 1, 1}).File()),
              HasSubstr("tensor 't': found 5 dimensions, expected at most 4"));
  EXPECT_THAT(HeaderError(OneTensor("t", {4, 0}).File()), HasSubstr("found a dimension of 0"));
  EXPECT_THAT(HeaderError(OneTensor("t", {1ull << 40, 1ull << 40}).File()),
              HasSubstr("product below 2^63"));
  EXPECT_THAT(HeaderError(OneTensor("t", {1ull << 32, 1ull << 31}).File()),
              HasSubstr("product below 2^63"));
  EXPECT_THAT(HeaderError(OneTensor("t", {~0ull}).File()), HasSubstr("product below 2^63"));
  RawGguf twice = OneTensor("t", {4});
  twice.tensors.push_back(twice.tensors[0]);
  EXPECT_THAT(HeaderError(twice.File()), HasSubstr("tensor 't' appears twice"));

  const std::string shifted = test::WithOffset(OneTensor("t", {4}).File(), "t", 16);
  EXPECT_THAT(HeaderError(shifted), HasSubstr("found data offset 16, expected a multiple of 32"));
}

TEST(GgufHeader, EveryTruncationIsAnError) {
  RawGguf raw = OneTensor("tensor", {4, 4});
  raw.key_values.push_back(KeyValue("list", 9, U32(8) + U64(2) + Str("ab") + Str("c")));
  const std::string header = raw.Header();
  const size_t end = header.find("tensor") + 6 + 4 + 16 + 4 + 8;
  for (size_t size = 0; size < end; ++size)
    EXPECT_NE(HeaderError(header.substr(0, size)), "") << size;
  EXPECT_EQ(HeaderError(header.substr(0, end)), "");
}

}  // namespace
}  // namespace tern
