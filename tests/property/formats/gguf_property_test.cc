// Broken files: cut anywhere, or with any byte changed. Opening and reading must end in a result,
// never in a crash; sanitizer builds make "crash" strict.
#include <gtest/gtest.h>

#include <random>

#include "support/gguf_bytes.h"

namespace tern {
namespace {

using test::KeyValue;
using test::OpenBytes;
using test::RawGguf;
using test::Str;
using test::U32;
using test::U64;

// Every kind of value and a tensor of every kind of layout.
RawGguf Rich() {
  RawGguf raw;
  raw.key_values.push_back(KeyValue("general.alignment", 4, U32(32)));
  raw.key_values.push_back(KeyValue("f", 6, U32(0x3f800000)));
  raw.key_values.push_back(
      KeyValue("list", 9, U32(8) + U64(3) + Str("a") + Str("") + Str("\xff\xfe")));
  raw.key_values.push_back(KeyValue("types", 9, U32(5) + U64(2) + U32(1) + U32(6)));
  raw.key_values.push_back(KeyValue("flags", 9, U32(7) + U64(2) + std::string("\x01\x00", 2)));
  raw.tensors = {
      {"f32", {3, 2}, 0, std::string(24, 1)},
      {"q8", {32}, 8, std::string(34, 2)},
      {"i2_s", {128, 2}, 36, std::string(64, 0x55) + U32(0x3f800000) + std::string(28, 0)},
      {"tq1", {256}, 34, std::string(54, 3)},
      {"q2", {64, 3}, 42, std::string(54, 0x15)},
      {"iq1_bn", {64, 2}, 134, std::string(30, 4)},
      {"iq2_bn_r4", {64, 4}, 335, std::string(80, 0x11)},
      {"q5", {32}, 6, std::string(22, 5)},
  };
  return raw;
}

// Opens and reads everything; false when opening failed. Names and messages stay in one line.
bool ReadAll(const std::string& file) {
  const auto source = OpenBytes(file);
  if (!source) {
    EXPECT_EQ(source.error().message.find('\n'), std::string::npos);
    return false;
  }
  for (const TensorInfo& info : (*source)->tensors()) {
    const auto check = [](const auto& result) {
      if (result) return;
      EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
    };
    check((*source)->ReadTernary(info.name));
    check((*source)->ReadDense(info.name));
    check((*source)->ReadF32(info.name));
  }
  return true;
}

TEST(BrokenGguf, TheFileItselfIsWhole) {
  const std::string file = Rich().File();
  const auto source = OpenBytes(file);
  ASSERT_TRUE(source) << source.error().message;
  EXPECT_EQ((*source)->tensors().size(), Rich().tensors.size());
  EXPECT_TRUE(ReadAll(file));
}

TEST(BrokenGguf, EveryTruncationBeforeTheLastByteOfDataIsAnError) {
  const std::string file = Rich().File();
  const size_t last = file.size() - (32 - 22);  // padding after the last tensor may be absent
  for (size_t size = 0; size < last; ++size) EXPECT_FALSE(ReadAll(file.substr(0, size))) << size;
  for (size_t size = last; size <= file.size(); ++size)
    EXPECT_TRUE(ReadAll(file.substr(0, size))) << size;
}

TEST(BrokenGguf, EveryByteOfTheHeaderMayTakeAnyExtremeValue) {
  const std::string file = Rich().File();
  const size_t header = Rich().Header().size();
  for (size_t at = 0; at < header; ++at) {
    for (const char value : {'\x00', '\x01', '\x7f', '\x80', '\xff'}) {
      std::string broken = file;
      broken[at] = value;
      ReadAll(broken);
    }
  }
}

TEST(BrokenGguf, RandomChangesOfBytesNeverCrash) {
  const std::string file = Rich().File();
  std::mt19937 random(7);
  for (int round = 0; round < 4000; ++round) {
    std::string broken = file;
    for (int changes = 0; changes < 1 + round % 3; ++changes)
      broken[random() % broken.size()] = static_cast<char>(random());
    ReadAll(broken);
  }
}

// Whole 64-bit fields, where sizes and offsets overflow.
TEST(BrokenGguf, HugeFieldsNeverCrash) {
  const std::string file = Rich().File();
  const size_t header = Rich().Header().size();
  for (size_t at = 4; at + 8 <= header; ++at) {
    for (const uint64_t value : {~0ull, 1ull << 63, (1ull << 63) - 32, 1ull << 61, 1ull << 32,
                                 0xffffffe0ull, 1ull << 20}) {
      std::string broken = file;
      broken.replace(at, 8, U64(value));
      ReadAll(broken);
    }
  }
}

}  // namespace
}  // namespace tern
