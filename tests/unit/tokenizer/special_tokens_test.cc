#include "tokenizer/special_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tern {
namespace {

using testing::ElementsAre;

/// "text" and "[id]" fragments.
std::vector<std::string> Show(const SpecialTokens& specials, std::string_view text) {
  std::vector<std::string> out;
  for (const TextFragment& fragment : specials.Split(text))
    out.push_back(fragment.token ? "[" + std::to_string(*fragment.token) + "]"
                                 : std::string(fragment.text));
  return out;
}

TEST(SpecialTokens, TextBetweenMatchesStaysText) {
  SpecialTokens specials;
  specials.Add("<a>", 1);
  EXPECT_THAT(Show(specials, "x<a>y<a><a>"), ElementsAre("x", "[1]", "y", "[1]", "[1]"));
  EXPECT_THAT(Show(specials, "<a"), ElementsAre("<a"));
  EXPECT_THAT(Show(specials, ""), ElementsAre());
}

TEST(SpecialTokens, TheLongestMatchWins) {
  SpecialTokens specials;
  specials.Add("  ", 1);
  specials.Add("    ", 2);
  specials.Add("   ", 3);
  EXPECT_THAT(Show(specials, "       x "), ElementsAre("[2]", "[3]", "x "));
}

TEST(SpecialTokens, TheFirstOfEqualSpellingsCounts) {
  SpecialTokens specials;
  specials.Add("<a>", 1);
  specials.Add("<a>", 2);
  specials.Add("", 3);
  EXPECT_THAT(Show(specials, "<a>"), ElementsAre("[1]"));
}

TEST(SpecialTokens, ManyBeginningsInALongTextAreFast) {
  std::vector<std::string> names;
  for (int i = 0; i < 2400; ++i) names.push_back("[PAD" + std::to_string(i) + "]");
  SpecialTokens specials;
  for (size_t i = 0; i < names.size(); ++i) specials.Add(names[i], static_cast<TokenId>(i));
  EXPECT_EQ(specials.Split(std::string(1 << 18, '[')).size(), 1U);
}

}  // namespace
}  // namespace tern
