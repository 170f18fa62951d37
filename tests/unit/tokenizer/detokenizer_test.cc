#include "tokenizer/detokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/small_tokenizers.h"

namespace tern {
namespace {

using testing::ElementsAre;

std::vector<std::string> Feed(Detokenizer detokenizer, const std::vector<TokenId>& ids) {
  std::vector<std::string> out;
  for (const TokenId id : ids) out.push_back(detokenizer.Feed(id));
  out.push_back(detokenizer.Finish());
  return out;
}

TEST(Detokenizer, ACharacterComesOutWhenItIsWhole) {
  const auto tokenizer = test::MakeTokenizer(test::SmallByteBpe());
  EXPECT_THAT(Feed(Detokenizer(*tokenizer), {'a', 0xe2, 0x82, 0xac, 'b'}),
              ElementsAre("a", "", "", "\u20ac", "b", ""));
}

TEST(Detokenizer, InvalidBytesAreReplacedOnlyWhenThatIsCertain) {
  const auto tokenizer = test::MakeTokenizer(test::SmallByteBpe());
  EXPECT_THAT(Feed(Detokenizer(*tokenizer), {0xe2, 0x82, 'b', 0xff, 0x80}),
              ElementsAre("", "",
                          "\ufffd"
                          "b",
                          "\ufffd", "\ufffd", ""));
}

TEST(Detokenizer, AnUnfinishedCharacterIsReplacedAtTheEnd) {
  const auto tokenizer = test::MakeTokenizer(test::SmallByteBpe());
  EXPECT_THAT(Feed(Detokenizer(*tokenizer), {0xf0, 0x9f, 0x98}), ElementsAre("", "", "", "\ufffd"));
}

TEST(Detokenizer, ControlTokensAreSpelledOnRequest) {
  const auto tokenizer = test::MakeTokenizer(test::SmallByteBpe());
  EXPECT_THAT(Feed(Detokenizer(*tokenizer), {'a', 264}), ElementsAre("a", "", ""));
  EXPECT_THAT(Feed(Detokenizer(*tokenizer, std::nullopt, true), {'a', 264}),
              ElementsAre("a", "<|eos|>", ""));
}

TEST(Detokenizer, TheLeadingSpaceIsDroppedAtTheBeginningOnly) {
  const auto tokenizer = test::MakeTokenizer(test::SmallSentencePiece());
  constexpr TokenId kSpaceA = 263;
  EXPECT_THAT(Feed(Detokenizer(*tokenizer), {kSpaceA, kSpaceA}), ElementsAre("a", " a", ""));
  EXPECT_THAT(Feed(Detokenizer(*tokenizer, 1), {kSpaceA}), ElementsAre("a", ""));
  EXPECT_THAT(Feed(Detokenizer(*tokenizer, kSpaceA), {kSpaceA}), ElementsAre(" a", ""));
}

TEST(Detokenizer, IdsOutsideTheVocabularyGiveNothing) {
  const auto tokenizer = test::MakeTokenizer(test::SmallByteBpe());
  EXPECT_THAT(Feed(Detokenizer(*tokenizer), {-1, 99999, 'a'}), ElementsAre("", "", "a", ""));
}

}  // namespace
}  // namespace tern
