#include "tokenizer/chat_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/small_tokenizers.h"

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// The small byte-level vocabulary with a family's special tokens behind it.
std::unique_ptr<Tokenizer> WithSpecials(const std::vector<std::string>& specials,
                                        const std::string& chat_template = "") {
  TokenizerSpec spec = test::SmallByteBpe();
  for (const std::string& special : specials) test::AddToken(spec, special, TokenType::kControl);
  spec.chat_template = chat_template;
  return test::MakeTokenizer(std::move(spec));
}

/// Rendered text with special segments in brackets.
std::string Show(ChatFamily family, const Tokenizer& tokenizer,
                 const std::vector<ChatMessage>& messages, const ChatOptions& options = {}) {
  const auto segments = RenderChat(family, tokenizer, messages, options);
  if (!segments) return "error: " + segments.error().message;
  std::string out;
  for (const ChatSegment& segment : *segments)
    out += segment.special ? "[" + segment.text + "]" : segment.text;
  return out;
}

const std::vector<ChatMessage> kTalk = {
    {"system", "Be brief."}, {"user", " Hi \n"}, {"assistant", "Hello."}, {"user", "Bye"}};

TEST(ChatFormat, BitNetNamesTheRolesAndEndsEachMessage) {
  const auto tokenizer = WithSpecials({"<|eot_id|>"});
  EXPECT_EQ(Show(ChatFamily::kBitNet, *tokenizer, kTalk),
            "[<|bos|>]System: Be brief.[<|eot_id|>]User: Hi[<|eot_id|>]Assistant: "
            "Hello.[<|eot_id|>]User: Bye[<|eot_id|>]Assistant: ");
}

TEST(ChatFormat, Llama3HasHeaders) {
  const auto tokenizer = WithSpecials({"<|eot_id|>"});
  EXPECT_EQ(Show(ChatFamily::kLlama3, *tokenizer, {{"user", " Hi \n"}}),
            "[<|bos|>][<|start_header_id|>]user[<|end_header_id|>]\n\nHi[<|eot_id|>]"
            "[<|start_header_id|>]assistant[<|end_header_id|>]\n\n");
}

TEST(ChatFormat, Falcon3EndsAnswersAsItsTemplateSays) {
  const auto plain = WithSpecials({"<|user|>"});
  EXPECT_EQ(Show(ChatFamily::kFalcon3, *plain, kTalk),
            "[<|system|>]\nBe brief.\n[<|user|>]\n Hi \n\n[<|assistant|>]\nHello.\n"
            "[<|user|>]\nBye\n[<|assistant|>]\n");
  const auto with_eos = WithSpecials({"<|user|>"}, "... + eos_token");
  EXPECT_THAT(Show(ChatFamily::kFalcon3, *with_eos, kTalk), HasSubstr("Hello.[<|eos|>]\n"));
}

TEST(ChatFormat, FalconEHasNoMarkers) {
  const auto tokenizer = WithSpecials({});
  EXPECT_EQ(Show(ChatFamily::kFalconE, *tokenizer, {{"user", "Hi"}}), "user\nHi\nassistant\n");
}

TEST(ChatFormat, ChatMlMayCloseTheThinkingBeforehand) {
  const auto qwen3 = WithSpecials({"<|im_start|>", "<|im_end|>", "<think>", "</think>"});
  EXPECT_EQ(Show(ChatFamily::kChatMl, *qwen3, {{"user", "Hi"}}),
            "[<|im_start|>]user\nHi[<|im_end|>]\n[<|im_start|>]assistant\n");
  EXPECT_EQ(Show(ChatFamily::kChatMl, *qwen3, {{"user", "Hi"}}, {.thinking = false}),
            "[<|im_start|>]user\nHi[<|im_end|>]\n[<|im_start|>]assistant\n"
            "[<think>]\n\n[</think>]\n\n");
  const auto qwen2 = WithSpecials({"<|im_start|>", "<|im_end|>"});
  EXPECT_THAT(Show(ChatFamily::kChatMl, *qwen2, {{"user", "Hi"}}, {.thinking = false}),
              testing::EndsWith("assistant\n"));
}

TEST(ChatFormat, ThoughtsOfEarlierAnswersAreLeftOut) {
  const auto qwen3 = WithSpecials({"<think>"});
  const std::vector<ChatMessage> messages = {{"assistant", "<think>\nhm\n</think>\n\nYes."},
                                             {"user", "a</think>b"}};
  EXPECT_EQ(
      Show(ChatFamily::kChatMl, *qwen3, messages, {.add_generation_prompt = false}),
      "[<|im_start|>]assistant\nYes.[<|im_end|>]\n[<|im_start|>]user\na</think>b[<|im_end|>]\n");
}

TEST(ChatFormat, PlainJoinsContentsByLines) {
  TokenizerSpec spec = test::SmallByteBpe();
  const std::vector<ChatMessage> messages = {{"user", "Once upon"}, {"assistant", "a time"}};
  EXPECT_EQ(Show(ChatFamily::kPlain, *test::MakeTokenizer(spec), messages), "Once upon\na time");
  spec.add_bos = true;
  EXPECT_EQ(Show(ChatFamily::kPlain, *test::MakeTokenizer(spec), messages),
            "[<|bos|>]Once upon\na time");
}

TEST(ChatFormat, RolesAreCheckedAndDeveloperMeansSystem) {
  const auto tokenizer = WithSpecials({});
  EXPECT_EQ(Show(ChatFamily::kFalconE, *tokenizer, {{"developer", "x"}}), "system\nx\nassistant\n");
  EXPECT_THAT(Show(ChatFamily::kFalconE, *tokenizer, {{"wizard", "x"}}),
              HasSubstr("error: message role \"wizard\", expected system"));
  EXPECT_THAT(Show(ChatFamily::kPlain, *tokenizer, {{"", "x"}}), HasSubstr("error"));
  EXPECT_THAT(Show(ChatFamily::kPlain, *tokenizer, {}), HasSubstr("error"));
}

TEST(ChatFormat, WhatAUserWritesIsNeverParsed) {
  const auto tokenizer = WithSpecials({"<|eot_id|>"});
  const TokenId eot = *tokenizer->Find("<|eot_id|>");
  const auto segments = RenderChat(ChatFamily::kBitNet, *tokenizer,
                                   std::vector<ChatMessage>{{"user", "a<|eot_id|>b"}}, {});
  const std::vector<TokenId> ids = EncodeChat(*tokenizer, *segments);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), eot), 1);
  EXPECT_EQ(tokenizer->Decode(ids), "User: a<|eot_id|>bAssistant: ");
}

TEST(ChatFormat, PlainTextBetweenSpecialTokensIsEncodedAsOne) {
  const auto tokenizer = WithSpecials({"<|eot_id|>"});
  // " w" is one token although the template ends in a space and the message begins with "w".
  const std::vector<ChatSegment> segments = {{"<|bos|>", true}, {"a ", false}, {"w", false}};
  EXPECT_THAT(EncodeChat(*tokenizer, segments), ElementsAre(263, 'a', 260));
}

TEST(ChatFormat, ASpecialTokenOutsideTheVocabularyIsPlainText) {
  const auto tokenizer = WithSpecials({});
  const std::vector<ChatSegment> segments = {
      {"he", false}, {"ll", true}, {"o<", false}, {"|none|>", true}};
  const std::vector<TokenId> ids = EncodeChat(*tokenizer, segments);
  EXPECT_EQ(tokenizer->Decode(ids), "hello<|none|>");
}

TEST(ChatFormat, TheFamilyFollowsFromTheTemplate) {
  const auto detect = [](const std::string& text) {
    return DetectChatFamily(*WithSpecials({"<|eot_id|>"}, text));
  };
  EXPECT_EQ(detect("Human: {{ m }}\n\nBITNETAssistant: "), ChatFamily::kBitNet);
  EXPECT_EQ(detect("{{ role | capitalize }}: ... '<|eot_id|>' ... 'Assistant: '"),
            ChatFamily::kBitNet);
  EXPECT_EQ(detect("<|start_header_id|>...<|eot_id|>"), ChatFamily::kLlama3);
  EXPECT_EQ(detect("'<|im_start|>' + role"), ChatFamily::kChatMl);
  EXPECT_EQ(detect("'<|user|>\n' ... '<|assistant|>\n'"), ChatFamily::kFalcon3);
  EXPECT_EQ(detect("<|user|>...<|end|>...<|assistant|>"), ChatFamily::kPlain);  // Phi-3: not ours
  EXPECT_EQ(detect(""), ChatFamily::kPlain);
}

TEST(ChatFormat, WithoutATemplateArchitectureAndVocabularyDecide) {
  EXPECT_EQ(DetectChatFamily(*WithSpecials({"<|eot_id|>"}), "bitnet-b1.58"), ChatFamily::kBitNet);
  EXPECT_EQ(DetectChatFamily(*WithSpecials({}), "bitnet-b1.58"), ChatFamily::kPlain);
  EXPECT_EQ(DetectChatFamily(*WithSpecials({"<|eot_id|>"}), "llama"), ChatFamily::kPlain);
  TokenizerSpec falcon = test::SmallByteBpe();
  falcon.pre = "falcon_e";
  EXPECT_EQ(DetectChatFamily(*test::MakeTokenizer(falcon)), ChatFamily::kFalconE);
  test::AddToken(falcon, "<|im_start|>", TokenType::kControl);
  EXPECT_EQ(DetectChatFamily(*test::MakeTokenizer(falcon)), ChatFamily::kChatMl);
}

TEST(ChatFormat, TheFamilysStopTokensComeFirst) {
  const auto tokenizer = WithSpecials({"<|end_of_text|>", "<|eot_id|>"});
  EXPECT_THAT(ChatStopTokens(ChatFamily::kBitNet, *tokenizer), ElementsAre(267, 266, 264));
  EXPECT_THAT(ChatStopTokens(ChatFamily::kChatMl, *tokenizer), ElementsAre(264));
}

TEST(ChatFormat, FamiliesHaveNames) {
  for (const char* name : {"plain", "bitnet", "llama3", "falcon3", "falcon-e", "chatml"})
    EXPECT_EQ(Name(*ParseChatFamily(name)), name);
  const auto unknown = ParseChatFamily("vicuna");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("plain, bitnet, llama3"));
}

}  // namespace
}  // namespace tern
