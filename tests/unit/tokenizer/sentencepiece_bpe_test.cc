#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "support/small_tokenizers.h"

namespace tern {
namespace {

using test::MakeTokenizer;
using test::SmallSentencePiece;
using testing::ElementsAre;

constexpr TokenId kSpace = 259, kA = 260, kB = 261, kC = 262, kSpaceA = 263, kAb = 264, kAbc = 266,
                  kUser = 268;
constexpr TokenId Byte(int value) { return 3 + value; }

TEST(SentencePieceBpe, MergesByScoreAfterASpacePrefix) {
  const auto tokenizer = MakeTokenizer(SmallSentencePiece());
  // "_a" scores higher than "ab", so "_ab" is "_a" + "b" merged again.
  EXPECT_THAT(tokenizer->Encode("ab", {}), ElementsAre(265));
  EXPECT_THAT(tokenizer->Encode("cab a", {}), ElementsAre(kSpace, kC, kAb, kSpaceA));
  EXPECT_THAT(tokenizer->Encode("", {}), ElementsAre());
}

TEST(SentencePieceBpe, WithoutPrefixTheFirstWordStandsBare) {
  TokenizerSpec spec = SmallSentencePiece();
  spec.add_space_prefix = false;
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_THAT(tokenizer->Encode("abc", {}), ElementsAre(kAbc));
  EXPECT_EQ(tokenizer->Decode(std::vector<TokenId>{kSpaceA, kB}), " ab");
}

TEST(SentencePieceBpe, CharactersWithoutATokenBecomeBytes) {
  const auto tokenizer = MakeTokenizer(SmallSentencePiece());
  EXPECT_THAT(tokenizer->Encode("\u20ac", {}),
              ElementsAre(kSpace, Byte(0xe2), Byte(0x82), Byte(0xac)));
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("a\u20ac\n", {})), "a\u20ac\n");
}

TEST(SentencePieceBpe, BytesThatAreNotUtf8Survive) {
  const auto tokenizer = MakeTokenizer(SmallSentencePiece());
  const std::string text("a\xff b\xe2\x82\0", 7);
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text, {})), text);
}

TEST(SentencePieceBpe, WithoutByteTokensACharacterIsUnknown) {
  TokenizerSpec spec = SmallSentencePiece();
  for (TokenType& type : spec.types)
    if (type == TokenType::kByte) type = TokenType::kUnused;
  EXPECT_THAT(MakeTokenizer(spec)->Encode("a\u20acz", {}), ElementsAre(kSpaceA, 0, 0));
}

TEST(SentencePieceBpe, TheSpacePrefixIsPutAgainAfterSpecialTokens) {
  const auto tokenizer = MakeTokenizer(SmallSentencePiece());
  EXPECT_THAT(tokenizer->Encode("a<user>a", {}), ElementsAre(kSpaceA, kUser, kSpaceA));
  EXPECT_EQ(tokenizer->Decode(std::vector<TokenId>{kSpaceA, kUser, kSpaceA}), "a<user>a");
  EXPECT_THAT(tokenizer->Encode("</s>a", {.parse_special = true}), ElementsAre(2, kSpaceA));
  EXPECT_THAT(tokenizer->Encode("a", {.add_bos = true}), ElementsAre(1, kSpaceA));
}

TEST(SentencePieceBpe, OnlyTheSpaceOfThePrefixIsDropped) {
  const auto tokenizer = MakeTokenizer(SmallSentencePiece());
  for (const char* text : {"a", " a", "  a", "a b", "", " ", "  ", "a<user> a", " <user>"})
    EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text, {})), text);
  EXPECT_EQ(tokenizer->Decode(std::vector<TokenId>{1, kSpaceA, kB}), "ab");
  EXPECT_EQ(tokenizer->Piece(kSpaceA), " a");
}

TEST(SentencePieceBpe, ASpelledControlTokenStaysText) {
  TokenizerSpec spec = SmallSentencePiece();
  for (const char* piece : {"<", "s", ">", "<s", "s>"}) test::AddToken(spec, piece);
  const auto tokenizer = MakeTokenizer(spec);
  for (const TokenId id : tokenizer->Encode("<s>", {})) EXPECT_NE(id, 1);
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("<s>", {})), "<s>");
}

TEST(SentencePieceBpe, MergeRulesDecideWhenThereAreAny) {
  TokenizerSpec spec = SmallSentencePiece();
  spec.merges = {"b c", "a bc"};  // no rule for "a b"
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_THAT(tokenizer->Encode("abc", {}), ElementsAre(kSpace, kAbc));
  EXPECT_THAT(tokenizer->Encode("ab", {}), ElementsAre(kSpace, kA, kB));
}

TEST(SentencePieceBpe, EqualScoresMergeFromTheLeft) {
  TokenizerSpec spec = SmallSentencePiece();
  spec.scores.assign(spec.scores.size(), 0);
  spec.add_space_prefix = false;
  // "ab" and "bc" are as good as each other; the leftmost goes first, then "abc" is complete.
  EXPECT_THAT(MakeTokenizer(spec)->Encode("abc", {}), ElementsAre(kAbc));
  spec.tokens[kAbc] = "zzz";
  EXPECT_THAT(MakeTokenizer(spec)->Encode("abc", {}), ElementsAre(kAb, kC));
}

TEST(SentencePieceBpe, ScoresThatAreNoNumbersAreRefused) {
  TokenizerSpec spec = SmallSentencePiece();
  spec.scores[5] = std::numeric_limits<float>::quiet_NaN();
  const auto tokenizer = Tokenizer::Create(spec);
  ASSERT_FALSE(tokenizer);
  EXPECT_EQ(tokenizer.error().code, Code::kCorrupt);
}

TEST(SentencePieceBpe, AVeryLongRunOfSpacesIsMerged) {
  TokenizerSpec spec = SmallSentencePiece();
  test::AddToken(spec, "\u2581\u2581");
  test::AddToken(spec, "\u2581\u2581\u2581\u2581");
  const auto tokenizer = MakeTokenizer(spec);
  const std::string text(1 << 18, ' ');
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text, {})), text);
}

}  // namespace
}  // namespace tern
