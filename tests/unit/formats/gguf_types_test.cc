// What type ids mean, above all those that several projects gave out.
#include "formats/gguf_types.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kI2s = 36, kTl1 = 38, kMxfp4OrTl2 = 39, kNvfp4OrOldQ1 = 40, kQ2 = 42;

uint64_t Align32(uint64_t bytes) { return (bytes + 31) / 32 * 32; }

Result<GgufType> Resolve(uint32_t id, int64_t rows, int64_t cols, uint64_t room,
                         bool last = false) {
  return ResolveGgufType({id, rows, cols, room, last, 32}, I2sLayout::kX86);
}

std::string CodecName(const Result<GgufType>& type) {
  if (!type) return "error: " + type.error().message;
  return type->codec ? std::string(type->codec->name) : "refused: " + type->refusal;
}

TEST(GgufTypes, AnIdWithOneMeaningToleratesAGap) {
  EXPECT_EQ(CodecName(Resolve(35, 1, 256, 96)), "tq2_0");
  EXPECT_EQ(CodecName(Resolve(35, 1, 256, 4096)), "tq2_0");
  EXPECT_EQ(CodecName(Resolve(0, 1, 3, 32)), "f32");
}

TEST(GgufTypes, Id42IsToldApartByTheRoomItTakes) {
  const uint64_t n = 16 * 256;
  EXPECT_EQ(CodecName(Resolve(kQ2, 16, 256, n / 64 * 18)), "q2_0");
  EXPECT_EQ(CodecName(Resolve(kQ2, 16, 256, n / 128 * 34)), "q2_0_g128");
  EXPECT_EQ(CodecName(Resolve(kQ2, 16, 256, n / 128 * 34, true)), "q2_0_g128");
  // The last tensor may be followed by its padding or not.
  EXPECT_EQ(CodecName(Resolve(kQ2, 3, 1280, 3 * 20 * 18, true)), "q2_0");
  EXPECT_EQ(CodecName(Resolve(kQ2, 3, 1280, Align32(3 * 20 * 18), true)), "q2_0");
  EXPECT_EQ(CodecName(Resolve(kQ2, 3, 1280, 3 * 10 * 34 + 1, true)), "q2_0_g128");
}

TEST(GgufTypes, Id42WithColumnsForOneGroupOnlyIsThatGroup) {
  EXPECT_EQ(CodecName(Resolve(kQ2, 1, 64, 32)), "q2_0");
}

TEST(GgufTypes, Id42ThatFitsNothingListsTheSizes) {
  const auto type = Resolve(kQ2, 16, 256, 1000 * 32);
  ASSERT_FALSE(type);
  EXPECT_EQ(type.error().code, Code::kCorrupt);
  EXPECT_EQ(type.error().message,
            "type id 42 has several meanings and the 32000 bytes up to the next tensor fit none: "
            "16 x 256 values take 1152 as Q2_0, 1088 as Q2_0 (group 128), 1056 as TL2");
}

TEST(GgufTypes, Id42TooSmallToTellIsLeftOpenAndNeverGuessed) {
  const auto type = Resolve(kQ2, 1, 128, 64);
  ASSERT_TRUE(type);
  EXPECT_EQ(type->codec, nullptr);
  EXPECT_EQ(type->choices.size(), 2u);
  EXPECT_EQ(type->name, "Q2_0 or Q2_0 (group 128)");
  EXPECT_THAT(type->refusal, HasSubstr("too few for their size to tell"));
  // Without padding after the last tensor the size is exact.
  EXPECT_EQ(CodecName(Resolve(kQ2, 1, 128, 34, true)), "q2_0_g128");
}

TEST(GgufTypes, TheNewTl2Under42IsRecognisedAndRefused) {
  // 2560 x 6912 as the 2026 writer sizes it: ((K - 256) * M / 3) * 5 / 8 + (256 * M / 2) * 4 / 8,
  // aligned, + 32.
  const uint64_t m = 2560, k = 6912;
  const uint64_t bytes = Align32((k - 256) * m / 3 * 5 / 8 + 256 * m / 2 * 4 / 8) + 32;
  EXPECT_THAT(CodecName(Resolve(kQ2, 2560, 6912, bytes)),
              HasSubstr("refused: type TL2 can't be used: its byte order depends on tile sizes"));
}

TEST(GgufTypes, Id39IsMxfp4OrTl2AndRefusedUnderItsName) {
  const uint64_t m = 1536, k = 4096;
  const uint64_t tl2 = Align32((k - 256) * m / 3 * 5 / 8 + 256 * m / 2 * 4 / 8) + 32;
  EXPECT_EQ(Resolve(kMxfp4OrTl2, 1536, 4096, m * k / 32 * 17)->name, "MXFP4");
  EXPECT_EQ(Resolve(kMxfp4OrTl2, 1536, 4096, tl2)->name, "TL2");
  EXPECT_FALSE(Resolve(kMxfp4OrTl2, 1536, 4096, 5000 * 32));
}

TEST(GgufTypes, Id40IsNvfp4OrTheOldestQ1_0) {
  EXPECT_EQ(Resolve(kNvfp4OrOldQ1, 16, 256, 16 * 4 * 36)->name, "NVFP4");
  EXPECT_EQ(Resolve(kNvfp4OrOldQ1, 16, 256, 16 * 8 * 6)->name, "Q1_0 (group 32)");
}

TEST(GgufTypes, Id36IsI2SUnlessItsSizeIsThatOfTheTypeThatHadTheIdBefore) {
  EXPECT_EQ(CodecName(Resolve(kI2s, 8, 256, 544)), "i2_s");
  EXPECT_EQ(CodecName(Resolve(kI2s, 8, 256, 544 + 32)), "i2_s");
  const auto old = Resolve(kI2s, 8, 256, 8 * 8 * 18);
  EXPECT_EQ(old->name, "IQ4_NL_4_4");
  EXPECT_THAT(old->refusal, HasSubstr("removed from GGUF"));
}

TEST(GgufTypes, Id36FollowsTheChosenLayout) {
  EXPECT_EQ(ResolveGgufType({kI2s, 8, 256, 544, true, 32}, I2sLayout::kArm)->codec->name,
            "i2_s_arm");
  EXPECT_EQ(ResolveGgufType({kI2s, 8, 256, 544, true, 32}, I2sLayout::kRows4)->codec->name,
            "i2_s_rows4");
  const auto odd = ResolveGgufType({kI2s, 3, 640, 512, true, 32}, I2sLayout::kRows4);
  ASSERT_FALSE(odd);
  EXPECT_THAT(odd.error().message,
              HasSubstr("found 3 rows, this layout of I2_S needs a multiple of 4"));
}

TEST(GgufTypes, I2SNeedsWholeUnitsOf128Values) {
  const auto type = Resolve(kI2s, 3, 64, 80);
  ASSERT_FALSE(type);
  EXPECT_THAT(type.error().message, HasSubstr("found 3 x 64 values, I2_S needs a multiple of 128"));
}

TEST(GgufTypes, Tl1IsRefusedWithTheWayOut) {
  const auto type = Resolve(kTl1, 1536, 4096, 1536 * 4096 / 4 + 32);
  ASSERT_TRUE(type);
  EXPECT_EQ(type->name, "TL1");
  EXPECT_EQ(type->bytes, 1536u * 4096 / 4 + 32);
  EXPECT_THAT(type->refusal, HasSubstr("convert the original checkpoint again"));
}

TEST(GgufTypes, EveryKnownTypeThatIsNotReadHasANameASizeAndAReason) {
  for (const uint32_t id : {3,  6,  7,  9,  10, 11, 13, 15, 16, 17, 18,  19, 20,
                            21, 22, 23, 24, 25, 26, 27, 28, 29, 41, 133, 136}) {
    const auto type = Resolve(id, 4, 256, 1 << 20);
    ASSERT_TRUE(type) << id;
    EXPECT_EQ(type->codec, nullptr) << id;
    EXPECT_NE(type->bytes, 0u) << id;
    EXPECT_THAT(type->refusal, HasSubstr("type " + type->name + " can't be used: "));
  }
}

TEST(GgufTypes, RemovedAndUnknownIdsAreErrors) {
  for (const uint32_t id : {4, 5, 31, 32, 33, 37}) {
    const auto type = Resolve(id, 4, 256, 1 << 20);
    ASSERT_FALSE(type) << id;
    EXPECT_EQ(type.error().code, Code::kUnsupported);
    EXPECT_THAT(type.error().message, HasSubstr("which was removed from GGUF"));
  }
  for (const uint32_t id : {43u, 100u, 144u, 336u, 0xffffffffu}) {
    const auto type = Resolve(id, 4, 256, 1 << 20);
    ASSERT_FALSE(type) << id;
    EXPECT_THAT(type.error().message,
                HasSubstr(fmt::format("found type id {}, which no format has", id)));
  }
}

TEST(GgufTypes, RowsThatAreNoWholeBlocksAreCorrupt) {
  for (const uint32_t id : {2, 3, 8, 10, 12, 14, 34, 35, 41, 134, 135, 142, 143, 335}) {
    const auto type = Resolve(id, 4, 40, 1 << 20);
    ASSERT_FALSE(type) << id;
    EXPECT_EQ(type.error().code, Code::kCorrupt) << id;
  }
}

TEST(GgufTypes, SizesBeyond64BitsAreErrors) {
  const int64_t side = int64_t{1} << 31;  // 2^62 values
  for (const uint32_t id : {0, 26, 27, 28}) EXPECT_FALSE(Resolve(id, side, side, 64)) << id;
  EXPECT_EQ(Resolve(24, side, side, 64)->bytes, uint64_t{1} << 62);
  EXPECT_EQ(Resolve(kI2s, side, side, 64)->bytes, (uint64_t{1} << 60) + 32);
}

}  // namespace
}  // namespace tern
