#include "formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/hf_folder.h"

namespace tern {
namespace {

using test::SafetensorsBytes;
using test::TempFolder;
using ::testing::HasSubstr;

Result<std::vector<SafetensorsTensor>> Parse(const std::string& bytes) {
  return ParseSafetensors(test::InMemory("m.safetensors", bytes));
}

/// A header of one object per line of `entries`, with `data` zero bytes behind it.
Result<std::vector<SafetensorsTensor>> ParseHeader(const std::string& header, size_t data) {
  return Parse(SafetensorsBytes(header, std::string(data, '\0')));
}

void ExpectRefused(const std::string& header, size_t data, const std::string& part) {
  const auto result = ParseHeader(header, data);
  ASSERT_FALSE(result) << header;
  EXPECT_EQ(result.error().code, Code::kCorrupt) << header;
  EXPECT_THAT(result.error().message, HasSubstr("m.safetensors"));
  EXPECT_THAT(result.error().message, HasSubstr(part)) << header;
}

TEST(Safetensors, ReadsNamesTypesShapesAndBytes) {
  const std::vector<float> values = {1, -2, 3};
  const std::vector<uint8_t> packed = {7, 8};
  const std::vector<test::HfTensor> in = {
      test::F32Tensor("a", {3}, values), test::U8Tensor("b", {1, 2}, packed),
      test::F32Tensor("scalar", {}, std::span(values).first(1))};
  const std::string bytes = SafetensorsBytes(in);
  const auto out = Parse(bytes);
  ASSERT_TRUE(out) << out.error().message;
  ASSERT_EQ(out->size(), in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    const SafetensorsTensor& tensor = (*out)[i];
    EXPECT_EQ(tensor.name, in[i].name);
    EXPECT_EQ(Name(tensor.type), in[i].dtype);
    EXPECT_EQ(tensor.shape, in[i].shape);
    const std::string_view data(reinterpret_cast<const char*>(tensor.bytes.data()),
                                tensor.bytes.size());
    EXPECT_EQ(data, in[i].bytes);
    EXPECT_EQ(bytes.substr(tensor.offset, tensor.bytes.size()), in[i].bytes);
  }
}

TEST(Safetensors, OrdersTensorsByTheirDataNotByTheHeader) {
  const auto out = ParseHeader(R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]},
                                   "a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
                                   "empty":{"dtype":"F32","shape":[0,5],"data_offsets":[1,1]}}   )",
                               3);
  ASSERT_TRUE(out) << out.error().message;
  ASSERT_EQ(out->size(), 3u);
  EXPECT_EQ((*out)[0].name, "a");
  EXPECT_EQ((*out)[1].name, "empty");
  EXPECT_EQ((*out)[2].name, "b");
}

TEST(Safetensors, AcceptsAFileWithoutTensors) {
  const auto out = ParseHeader("{}", 0);
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_TRUE(out->empty());
}

TEST(Safetensors, RefusesAHeaderOutsideTheFile) {
  for (const uint64_t length : {uint64_t{3}, uint64_t{1} << 40, UINT64_MAX, UINT64_MAX - 7}) {
    std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
    const auto out = Parse(bytes + "{}");
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code, Code::kCorrupt);
    EXPECT_THAT(out.error().message, HasSubstr("in a file of 10"));
  }
  EXPECT_THAT(Parse("1234567").error().message, HasSubstr("too short"));
  EXPECT_THAT(Parse("").error().message, HasSubstr("too short"));
}

TEST(Safetensors, RefusesBrokenJson) {
  ExpectRefused("{", 0, "parse error");
  ExpectRefused("[]", 0, "JSON object");
  ExpectRefused("{}x", 0, "parse error");
  ExpectRefused("{\"\xff\":1}", 0, "UTF-8");
  ExpectRefused(R"({"a":)" + std::string(40, '[') + std::string(40, ']') + "}", 0, "nested");
}

TEST(Safetensors, RefusesATensorNamedTwice) {
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
                    "a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                2, "'a' occurs twice");
  ExpectRefused(R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1,
                "'dtype' occurs twice");
}

TEST(Safetensors, RefusesEntriesThatAreIncompleteOrOfAnotherKind) {
  ExpectRefused(R"({"a":3})", 0, "not an object");
  ExpectRefused(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1, "dtype is missing");
  ExpectRefused(R"({"a":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}})", 1,
                "dtype 'F4' is not known");
  ExpectRefused(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1, "shape is missing");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1]}})", 1, "data_offsets is missing");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", 1, "not a pair");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1, "shape holds -1");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", 1, "shape holds 1.0");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}})", 1,
                "data_offsets holds -1");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})", 1,
                "9 dimensions");
}

TEST(Safetensors, RefusesSpansThatAreNotTheProductOfTheShape) {
  ExpectRefused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "needs 8 bytes");
  // 2^40 * 2^40 wraps to 0, and so would a span of nothing.
  ExpectRefused(
      R"({"a":{"dtype":"U8","shape":[1099511627776,1099511627776],"data_offsets":[0,0]}})", 0,
      "2^64");
  ExpectRefused(R"({"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", 0,
                "2^64");
}

TEST(Safetensors, RefusesSpansOutsideTheFileOrBackwards) {
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 3,
                "outside the 3 bytes");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[2,1]}})", 3,
                "data_offsets [2, 1]");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551615]}})", 3,
                "data_offsets");
}

TEST(Safetensors, RefusesHolesOverlapsAndBytesLeftOver) {
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2, "hole");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
                    "b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
                3, "overlaps");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
                    "b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
                3, "hole");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 2,
                "1 bytes after the last");
  ExpectRefused("{}", 1, "1 bytes after the last");
}

TEST(ShardIndex, RefusesNamesThatAreNotPlainFileNames) {
  for (const std::string shard :
       {"../m.safetensors", "/etc/passwd", "a/b", "..", ".", "", "a\\\\b", "a\\u0000b"}) {
    const auto map = ParseShardIndex(R"({"weight_map":{"a":")" + shard + "\"}}", "index.json");
    ASSERT_FALSE(map) << shard;
    EXPECT_EQ(map.error().code, Code::kCorrupt);
    EXPECT_THAT(map.error().message, HasSubstr("index.json: weight_map.a: found"));
  }
  EXPECT_THAT(ParseShardIndex(R"({"weight_map":{"a":1}})", "i").error().message,
              HasSubstr("i: weight_map.a: found 1"));
  EXPECT_THAT(ParseShardIndex(R"({"weight_map":{}})", "i").error().message, HasSubstr("empty"));
  EXPECT_EQ(ParseShardIndex("{}", "i").error().code, Code::kNotFound);
}

class Shards : public ::testing::Test {
 protected:
  Shards() {
    const std::vector<uint8_t> byte = {5};
    folder_.Write("one.safetensors", SafetensorsBytes(std::vector{test::U8Tensor("a", {1}, byte)}));
    folder_.Write("two.safetensors", SafetensorsBytes(std::vector{test::U8Tensor("b", {1}, byte)}));
  }
  void Index(const std::string& map) {
    folder_.Write("model.safetensors.index.json",
                  R"({"metadata":{"total_size":2},"weight_map":)" + map + "}");
  }
  TempFolder folder_;
};

TEST_F(Shards, AreReadAsOneCheckpoint) {
  Index(R"({"a":"one.safetensors","b":"two.safetensors"})");
  const auto tensors = OpenSafetensorsFolder(folder_.path());
  ASSERT_TRUE(tensors) << tensors.error().message;
  ASSERT_EQ(tensors->size(), 2u);
  EXPECT_EQ((*tensors)[0].name, "a");
  EXPECT_EQ((*tensors)[1].file->path(), folder_.File("two.safetensors"));
}

TEST_F(Shards, ThatAreMissingAreNamed) {
  Index(R"({"a":"one.safetensors","b":"three.safetensors"})");
  const auto tensors = OpenSafetensorsFolder(folder_.path());
  ASSERT_FALSE(tensors);
  EXPECT_EQ(tensors.error().code, Code::kNotFound);
  EXPECT_THAT(tensors.error().message, HasSubstr("three.safetensors"));
}

TEST_F(Shards, ThatLackATensorAreRefused) {
  Index(R"({"a":"one.safetensors","c":"two.safetensors"})");
  EXPECT_THAT(OpenSafetensorsFolder(folder_.path()).error().message,
              HasSubstr("tensor 'c' should be in two.safetensors, but is in no shard"));
  Index(R"({"a":"two.safetensors","b":"one.safetensors"})");
  EXPECT_THAT(OpenSafetensorsFolder(folder_.path()).error().message,
              HasSubstr("tensor 'a' should be in two.safetensors, but is in one.safetensors"));
}

TEST_F(Shards, ThatHoldTheSameTensorAreRefused) {
  const std::vector<uint8_t> bytes = {5, 6};
  folder_.Write("two.safetensors",
                SafetensorsBytes(std::vector{test::U8Tensor("b", {1}, std::span(bytes).first(1)),
                                             test::U8Tensor("a", {2}, bytes)}));
  Index(R"({"a":"one.safetensors","b":"two.safetensors"})");
  EXPECT_THAT(OpenSafetensorsFolder(folder_.path()).error().message,
              HasSubstr("'a' is in more than one shard"));
}

TEST_F(Shards, YieldToASingleFile) {
  Index(R"({"a":"nowhere.safetensors"})");
  folder_.Write("model.safetensors", SafetensorsBytes("{}", ""));
  const auto tensors = OpenSafetensorsFolder(folder_.path());
  ASSERT_TRUE(tensors) << tensors.error().message;
  EXPECT_TRUE(tensors->empty());
}

TEST(SafetensorsFolder, WithoutWeightsIsNotFound) {
  const TempFolder folder;
  const auto tensors = OpenSafetensorsFolder(folder.path());
  ASSERT_FALSE(tensors);
  EXPECT_EQ(tensors.error().code, Code::kNotFound);
  EXPECT_THAT(tensors.error().message, HasSubstr("model.safetensors.index.json"));
}

}  // namespace
}  // namespace tern
