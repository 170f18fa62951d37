#include "tokenizer/utf8.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

void ExpectStep(std::string_view text, Utf8Kind kind, size_t length, char32_t code_point = 0) {
  const Utf8Step step = NextUtf8(text);
  EXPECT_EQ(step.kind, kind) << testing::PrintToString(text);
  EXPECT_EQ(step.length, length) << testing::PrintToString(text);
  EXPECT_EQ(step.code_point, code_point) << testing::PrintToString(text);
}

TEST(Utf8, EveryScalarValueSurvivesARoundTrip) {
  for (char32_t c = 0; c <= 0x10ffff; ++c) {
    if (c >= 0xd800 && c < 0xe000) continue;
    std::string text;
    AppendUtf8(c, text);
    const Utf8Step step = NextUtf8(text);
    ASSERT_EQ(step.kind, Utf8Kind::kCharacter) << static_cast<uint32_t>(c);
    ASSERT_EQ(step.length, text.size()) << static_cast<uint32_t>(c);
    ASSERT_EQ(step.code_point, c);
  }
}

TEST(Utf8, OverlongSurrogatesAndBeyondUnicodeAreInvalid) {
  ExpectStep("\xc0\x80", Utf8Kind::kInvalid, 1);
  ExpectStep("\xe0\x80\x80", Utf8Kind::kInvalid, 1);
  ExpectStep("\xf0\x80\x80\x80", Utf8Kind::kInvalid, 1);
  ExpectStep("\xed\xa0\x80", Utf8Kind::kInvalid, 1);
  ExpectStep("\xf4\x90\x80\x80", Utf8Kind::kInvalid, 1);
  ExpectStep("\xf5", Utf8Kind::kInvalid, 1);
  ExpectStep("\x80", Utf8Kind::kInvalid, 1);
  ExpectStep("\xff", Utf8Kind::kInvalid, 1);
}

TEST(Utf8, AMaximalSubpartIsOneInvalidStep) {
  ExpectStep("\xe2\x82 ", Utf8Kind::kInvalid, 2);
  ExpectStep("\xf0\x9f\x98 ", Utf8Kind::kInvalid, 3);
  ExpectStep("\xf0\x9f\xf0", Utf8Kind::kInvalid, 2);
}

TEST(Utf8, ACutCharacterIsIncomplete) {
  ExpectStep("\xc3", Utf8Kind::kIncomplete, 1);
  ExpectStep("\xe2\x82", Utf8Kind::kIncomplete, 2);
  ExpectStep("\xf0\x9f\x98", Utf8Kind::kIncomplete, 3);
}

TEST(Utf8, ValidPrefixEndsAtTheFirstBadByte) {
  EXPECT_EQ(ValidUtf8Prefix(""), 0U);
  EXPECT_EQ(ValidUtf8Prefix("abc\u20ac"), 6U);
  EXPECT_EQ(ValidUtf8Prefix("abc\xff"), 3U);
  EXPECT_EQ(ValidUtf8Prefix("\u20ac\xe2\x82"), 3U);
}

}  // namespace
}  // namespace tern
