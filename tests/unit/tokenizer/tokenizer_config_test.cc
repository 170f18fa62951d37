#include "tokenizer/tokenizer_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/small_tokenizers.h"

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(TokenizerConfig, TokensAreGivenAsTextOrAsObjects) {
  TokenizerSpec spec = test::SmallByteBpe();
  spec.bos.reset();
  ASSERT_TRUE(ApplyTokenizerConfig(
      R"({"bos_token": {"content": "<|bos|>", "lstrip": false}, "eos_token": "<user>",
          "pad_token": null, "add_bos_token": true, "add_eos_token": true})",
      spec));
  EXPECT_EQ(spec.bos, 263);
  EXPECT_EQ(spec.eos, 265);
  EXPECT_EQ(spec.padding, std::nullopt);
  EXPECT_TRUE(spec.add_bos && spec.add_eos);
}

TEST(TokenizerConfig, ATokenOutsideTheVocabularyIsSaid) {
  TokenizerSpec spec = test::SmallByteBpe();
  ASSERT_TRUE(ApplyTokenizerConfig(R"({"unk_token": "<none>"})", spec));
  EXPECT_EQ(spec.unknown, std::nullopt);
  EXPECT_THAT(spec.note, HasSubstr("unk_token \"<none>\""));
}

TEST(TokenizerConfig, TheChatTemplateIsATextOrTheDefaultOfAList) {
  TokenizerSpec spec = test::SmallByteBpe();
  ASSERT_TRUE(ApplyTokenizerConfig(R"({"chat_template": "one"})", spec));
  EXPECT_EQ(spec.chat_template, "one");
  ASSERT_TRUE(ApplyTokenizerConfig(
      R"({"chat_template": [{"name": "rag", "template": "x"}, {"name": "default", "template": "y"}]})",
      spec));
  EXPECT_EQ(spec.chat_template, "y");
  ASSERT_TRUE(ApplyTokenizerConfig("{}", spec));
  EXPECT_EQ(spec.chat_template, "y");
}

TEST(GenerationConfig, EndsAreANumberOrAList) {
  TokenizerSpec spec = test::SmallByteBpe();
  ASSERT_TRUE(
      ApplyGenerationConfig(R"({"eos_token_id": [264, 265, 265], "pad_token_id": -1})", spec));
  EXPECT_EQ(spec.eos, 264);
  EXPECT_THAT(spec.stops, ElementsAre(265));
  EXPECT_EQ(spec.padding, std::nullopt);
  TokenizerSpec bare = test::SmallByteBpe();
  bare.eos.reset();
  ASSERT_TRUE(ApplyGenerationConfig(R"({"eos_token_id": 3, "bos_token_id": 4})", bare));
  EXPECT_EQ(bare.eos, 3);
  EXPECT_EQ(bare.bos, 263);  // known before
  EXPECT_TRUE(bare.stops.empty());
}

TEST(GenerationConfig, IdsOutsideTheVocabularyAreCorrupt) {
  for (const char* text : {R"({"eos_token_id": 266})", R"({"eos_token_id": "end"})",
                           R"({"eos_token_id": [1, -1]})", R"({"pad_token_id": 99999999999})"}) {
    TokenizerSpec spec = test::SmallByteBpe();
    const Status status = ApplyGenerationConfig(text, spec);
    ASSERT_FALSE(status) << text;
    EXPECT_EQ(status.error().code, Code::kCorrupt);
    EXPECT_THAT(status.error().message, HasSubstr("expected an id below 266"));
  }
}

TEST(GenerationConfig, WhatIsNotJsonIsCorrupt) {
  TokenizerSpec spec = test::SmallByteBpe();
  EXPECT_FALSE(ApplyGenerationConfig("{", spec));
  EXPECT_FALSE(ApplyTokenizerConfig("\xff", spec));
}

}  // namespace
}  // namespace tern
