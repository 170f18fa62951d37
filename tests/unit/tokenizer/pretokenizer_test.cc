#include "tokenizer/pretokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string_view> Split(std::string_view name, std::string_view text) {
  const auto pretokenizer = Pretokenizer::Create(name);
  if (!pretokenizer) {
    ADD_FAILURE() << pretokenizer.error().message;
    return {};
  }
  return pretokenizer->Split(text);
}

TEST(Pretokenizer, Llama3KeepsSuffixesDigitsByThreesAndLineBreaks) {
  EXPECT_THAT(Split("llama-bpe", "It's 2024!\n\n  ok"),
              ElementsAre("It", "'s", " ", "202", "4", "!\n\n", " ", " ok"));
  EXPECT_THAT(Split("llama-bpe", "DON'T we'LL"), ElementsAre("DON", "'T", " we", "'LL"));
}

TEST(Pretokenizer, Qwen2CutsDigitsOneByOne) {
  EXPECT_THAT(Split("qwen2", "a 12"), ElementsAre("a", " ", "1", "2"));
}

TEST(Pretokenizer, Gpt2LeavesOneBlankToTheNextWord) {
  EXPECT_THAT(Split("gpt-2", "a   b\nc 123"), ElementsAre("a", "  ", " b", "\n", "c", " 123"));
}

TEST(Pretokenizer, StepsApplyOneAfterTheOther) {
  EXPECT_THAT(Split("starcoder", "x 12"), ElementsAre("x", " ", "1", "2"));
  EXPECT_THAT(Split("falcon", "a--b 1234"), ElementsAre("a", "--", "b", " ", "123", "4"));
  EXPECT_THAT(Split("default", "a 12"), ElementsAre("a", " ", "12"));
  EXPECT_THAT(Split("steps:digits,gpt2", "a 12b"), ElementsAre("a", " ", "12", "b"));
}

TEST(Pretokenizer, WhiteSpaceIsUnicodesAndNothingElse) {
  for (const char* space : {"\u0085", "\u00a0", "\u1680", "\u2000", "\u200a", "\u2028", "\u202f",
                            "\u205f", "\u3000", "\x0b", "\x0c"})
    EXPECT_THAT(Split("llama-bpe", std::string("!") + space + "!"), ElementsAre("!", space, "!"));
  // Neither U+180E nor U+200B: both go with the punctuation around them.
  EXPECT_EQ(Split("llama-bpe", "!\u180e!").size(), 1U);
  EXPECT_EQ(Split("llama-bpe", "!\u200b!").size(), 1U);
}

TEST(Pretokenizer, LettersThatNewerUnicodeAddedAreLetters) {
  EXPECT_EQ(Split("llama-bpe", "a\u1c8a\U00031350").size(), 1U);
  EXPECT_THAT(Split("llama-bpe",
                    "1\U00011f50"
                    "2a"),
              ElementsAre("1\U00011f50"
                          "2",
                          "a"));
}

TEST(Pretokenizer, EveryNameOfTheTableWorks) {
  for (const char* name :
       {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon_e", "qwen2", "gpt-2", "phi-2", "mpt",
        "starcoder", "refact", "falcon", "default", "deepseek-llm", "deepseek-coder"}) {
    std::string joined;
    for (const std::string_view piece : Split(name, "Hello, 世界 123 \n\t x")) joined += piece;
    EXPECT_EQ(joined, "Hello, 世界 123 \n\t x") << name;
  }
}

TEST(Pretokenizer, OnlyLlama3IgnoresMergesAndAddsBos) {
  EXPECT_TRUE(FindPretokenizer("falcon_e")->ignore_merges);
  EXPECT_TRUE(FindPretokenizer("llama-v3")->add_bos);
  EXPECT_FALSE(FindPretokenizer("qwen2")->ignore_merges);
  EXPECT_FALSE(FindPretokenizer("gpt-2")->add_bos);
}

TEST(Pretokenizer, AnUnknownNameIsRefusedWithTheKnownOnes) {
  const auto result = Pretokenizer::Create("tekken\n");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kUnsupported);
  EXPECT_THAT(result.error().message, HasSubstr(R"("tekken\n")"));
  EXPECT_THAT(result.error().message, HasSubstr("llama-bpe, llama3"));
  EXPECT_FALSE(Pretokenizer::Create("steps:gpt2,nonsense"));
  EXPECT_FALSE(Pretokenizer::Create(""));
}

TEST(Pretokenizer, SpellingsOfTheSameExpressionAreRecognised) {
  const std::string tail =
      R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  EXPECT_EQ(FindStep("(?i:'s|'t|'re|'ve|'m|'ll|'d)" + tail), "llama3");
  EXPECT_EQ(FindStep("(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])" + tail), "llama3");
  EXPECT_EQ(
      FindStep(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"),
      "gpt2");
  EXPECT_EQ(FindStep(R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"),
            "gpt2");
  EXPECT_EQ(FindStep("[\r\n]"), "line-break");
  EXPECT_EQ(FindStep(R"(\p{N}{1,2})"), std::nullopt);
}

TEST(Pretokenizer, AListOfStepsHasAName) {
  const std::vector<std::string_view> starcoder = {"digit", "gpt2"};
  const std::vector<std::string_view> other = {"punctuation", "gpt2", "digits", "ascii-digits-3"};
  EXPECT_EQ(PretokenizerName(starcoder, false), "starcoder");
  EXPECT_EQ(PretokenizerName(starcoder, true), "starcoder");
  const std::vector<std::string_view> llama3 = {"llama3"};
  EXPECT_EQ(PretokenizerName(llama3, true), "llama-bpe");
  EXPECT_EQ(PretokenizerName(llama3, false), "dbrx");
  EXPECT_EQ(PretokenizerName(other, false), "steps:punctuation,gpt2,digits,ascii-digits-3");
  EXPECT_TRUE(FindPretokenizer(PretokenizerName(other, false)));
}

TEST(Pretokenizer, AVeryLongRunOfOneCharacterIsNoProblem) {
  for (const char* unit : {"a", " ", "\n", "7", "!", "\u6c49", "'"}) {
    std::string text;
    while (text.size() < (1U << 18)) text += unit;
    text += "\U0001f600";
    for (const char* name : {"llama-bpe", "gpt-2", "default", "deepseek-llm"}) {
      size_t bytes = 0;
      for (const std::string_view piece : Split(name, text)) bytes += piece.size();
      EXPECT_EQ(bytes, text.size()) << name << " " << unit;
    }
  }
}

}  // namespace
}  // namespace tern
