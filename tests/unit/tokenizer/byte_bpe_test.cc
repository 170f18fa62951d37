#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/small_tokenizers.h"

namespace tern {
namespace {

using test::MakeTokenizer;
using test::SmallByteBpe;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ByteBpe, MergesByRankInsideEachPiece) {
  const auto tokenizer = MakeTokenizer(SmallByteBpe());
  EXPECT_THAT(tokenizer->Encode("hello world", {}), ElementsAre(259, 260, 261, 262));
  EXPECT_THAT(tokenizer->Encode("hell", {}), ElementsAre(258));
  EXPECT_THAT(tokenizer->Encode("", {}), ElementsAre());
}

TEST(ByteBpe, ControlTokensAreParsedOnRequestOnly) {
  const auto tokenizer = MakeTokenizer(SmallByteBpe());
  EXPECT_THAT(tokenizer->Encode("<|eos|>", {.parse_special = true}), ElementsAre(264));
  const std::vector<TokenId> plain = tokenizer->Encode("<|eos|>", {});
  EXPECT_EQ(plain.size(), 7U);
  EXPECT_EQ(tokenizer->Decode(plain), "<|eos|>");
}

TEST(ByteBpe, UserDefinedTokensAreAlwaysMatched) {
  const auto tokenizer = MakeTokenizer(SmallByteBpe());
  EXPECT_THAT(tokenizer->Encode("a<user>b", {}), ElementsAre('a', 265, 'b'));
  EXPECT_EQ(tokenizer->Decode(std::vector<TokenId>{'a', 265, 'b'}), "a<user>b");
}

TEST(ByteBpe, BosAndEosAreAddedOnRequestAndNeverTwice) {
  const auto tokenizer = MakeTokenizer(SmallByteBpe());
  EXPECT_THAT(tokenizer->Encode("a", {.add_bos = true, .add_eos = true}),
              ElementsAre(263, 'a', 264));
  EXPECT_THAT(tokenizer->Encode("", {.add_bos = true}), ElementsAre(263));
  EXPECT_THAT(tokenizer->Encode("<|bos|>a", {.add_bos = true, .parse_special = true}),
              ElementsAre(263, 'a'));
  TokenizerSpec without = SmallByteBpe();
  without.bos.reset();
  EXPECT_THAT(MakeTokenizer(without)->Encode("a", {.add_bos = true}), ElementsAre('a'));
}

TEST(ByteBpe, BytesThatAreNotUtf8SurviveOneByOne) {
  const auto tokenizer = MakeTokenizer(SmallByteBpe());
  const std::string text("he\xff\xfello\xe2\x82\0\xc3", 11);
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text, {})), text);
  EXPECT_THAT(tokenizer->Encode("\xe2\x82", {}), ElementsAre(0xe2, 0x82));
}

TEST(ByteBpe, ControlTokensAreSpelledOnRequestOnly) {
  const auto tokenizer = MakeTokenizer(SmallByteBpe());
  EXPECT_EQ(tokenizer->Piece(264), "");
  EXPECT_EQ(tokenizer->Piece(264, true), "<|eos|>");
  EXPECT_EQ(tokenizer->Piece(260), " w");
  EXPECT_EQ(tokenizer->Piece(-1), "");
  EXPECT_EQ(tokenizer->Piece(100000, true), "");
}

TEST(ByteBpe, AWholePieceIsATokenWhenMergesAreIgnored) {
  TokenizerSpec spec = SmallByteBpe();
  const TokenId cat = test::AddToken(spec, "cat");
  EXPECT_THAT(MakeTokenizer(spec)->Encode("cat", {}), ElementsAre('c', 'a', 't'));
  spec.ignore_merges = true;
  EXPECT_THAT(MakeTokenizer(spec)->Encode("cat", {}), ElementsAre(cat));
  EXPECT_THAT(MakeTokenizer(spec)->Encode("cats", {}), ElementsAre('c', 'a', 't', 's'));
  spec.pre = "llama-bpe";
  spec.ignore_merges.reset();
  EXPECT_THAT(MakeTokenizer(spec)->Encode("cat", {}), ElementsAre(cat));
}

TEST(ByteBpe, AControlTokenNeverComesOutOfPlainText) {
  TokenizerSpec spec = SmallByteBpe();
  test::AddToken(spec, "cat", TokenType::kControl);
  spec.merges.insert(spec.merges.end(), {"c a", "ca t"});
  spec.ignore_merges = true;
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_THAT(tokenizer->Encode("cat", {}), ElementsAre('c', 'a', 't'));
}

TEST(ByteBpe, ASymbolThatIsNoTokenFallsBackToBytes) {
  TokenizerSpec spec = SmallByteBpe();
  spec.merges.insert(spec.merges.end(), {"x y", "xy z"});  // neither "xy" nor "xyz" is a token
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_THAT(tokenizer->Encode("xyz", {}), ElementsAre('x', 'y', 'z'));
}

TEST(ByteBpe, AByteWithoutATokenIsUnknown) {
  TokenizerSpec spec = SmallByteBpe();
  spec.tokens['q'] = "gone";
  EXPECT_THAT(MakeTokenizer(spec)->Encode("aq", {}), ElementsAre('a'));
  spec.unknown = 264;
  EXPECT_THAT(MakeTokenizer(spec)->Encode("aq", {}), ElementsAre('a', 264));
}

TEST(ByteBpe, AMergeIsSplitAtTheFirstSpaceBehindItsBeginning) {
  TokenizerSpec spec = SmallByteBpe();
  const TokenId joined = test::AddToken(spec, " a");
  spec.merges.emplace_back("  a");  // " " and "a": a left part that is itself a space
  EXPECT_TRUE(Tokenizer::Create(spec));
  EXPECT_EQ(MakeTokenizer(spec)->Find(" a"), joined);
  spec.merges.emplace_back("nospace");
  const auto broken = Tokenizer::Create(spec);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, Code::kCorrupt);
  EXPECT_THAT(broken.error().message, HasSubstr("\"nospace\""));
}

TEST(ByteBpe, EndsOfGenerationAreEosEotStopsAndKnownNames) {
  TokenizerSpec spec = SmallByteBpe();
  const TokenId end = test::AddToken(spec, "<|im_end|>", TokenType::kControl);
  const TokenId mislabelled = test::AddToken(spec, "<|eot_id|>");
  spec.stops = {'x'};
  spec.eot = 'y';
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(*spec.eos));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(end));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration('x'));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration('y'));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(mislabelled));
  EXPECT_EQ(tokenizer->Piece(mislabelled), "");
  EXPECT_THAT(tokenizer->Encode("<|eot_id|>", {.parse_special = true}), ElementsAre(mislabelled));
  EXPECT_FALSE(tokenizer->IsEndOfGeneration('a'));
  EXPECT_FALSE(tokenizer->IsEndOfGeneration(-1));
}

TEST(ByteBpe, AContradictorySpecIsRefused) {
  const auto message = [](void (*spoil)(TokenizerSpec&)) {
    TokenizerSpec spec = SmallByteBpe();
    spoil(spec);
    const auto tokenizer = Tokenizer::Create(spec);
    return tokenizer ? "accepted" : tokenizer.error().message;
  };
  EXPECT_THAT(message([](TokenizerSpec& s) { s.tokens.clear(); }), HasSubstr("no tokens"));
  EXPECT_THAT(message([](TokenizerSpec& s) { s.types.pop_back(); }),
              HasSubstr("token types: found 265 entries, expected 266"));
  EXPECT_THAT(message([](TokenizerSpec& s) { s.scores.resize(3); }), HasSubstr("scores"));
  EXPECT_THAT(message([](TokenizerSpec& s) { s.bos = 266; }), HasSubstr("bos token: found 266"));
  EXPECT_THAT(message([](TokenizerSpec& s) { s.stops = {-5}; }), HasSubstr("stop token"));
  EXPECT_THAT(message([](TokenizerSpec& s) { s.pre = "magic"; }), HasSubstr("\"magic\""));
}

TEST(ByteBpe, AVeryLongRunOfOneLetterIsMerged) {
  TokenizerSpec spec = SmallByteBpe();
  std::string power = "a";
  for (int i = 0; i < 6; ++i) {
    test::AddMerge(spec, power, power);
    power += power;
  }
  const auto tokenizer = MakeTokenizer(spec);
  const std::string text(1 << 18, 'a');
  const std::vector<TokenId> ids = tokenizer->Encode(text, {});
  EXPECT_EQ(ids, std::vector<TokenId>((1 << 18) / 64, *tokenizer->Find(power)));
}

}  // namespace
}  // namespace tern
