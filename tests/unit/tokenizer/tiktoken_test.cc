#include "tokenizer/tiktoken.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

using testing::HasSubstr;

std::string Refusal(std::string_view text, Code code) {
  const auto spec = ParseTiktoken(text);
  if (spec) return "accepted";
  EXPECT_EQ(spec.error().code, code);
  return spec.error().message;
}

/// `count` ranks of distinct three-byte tokens.
std::string Ranks(size_t count) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    for (const size_t shift : {18U, 12U, 6U, 0U}) out += kDigits[(i >> shift) & 63];
    out += ' ' + std::to_string(i) + '\n';
  }
  return out;
}

TEST(Tiktoken, TheFamilyFollowsFromTheNumberOfRanks) {
  const auto llama = ParseTiktoken(Ranks(128000));
  ASSERT_TRUE(llama) << llama.error().message;
  EXPECT_EQ(llama->tokens.size(), 128256U);
  EXPECT_EQ(llama->pre, "llama-bpe");
  EXPECT_EQ(llama->tokens[128000], "<|begin_of_text|>");
  EXPECT_EQ(llama->tokens[128001], "<|end_of_text|>");
  EXPECT_EQ(llama->tokens[128002], "<|reserved_special_token_0|>");
  EXPECT_EQ(llama->tokens[128006], "<|start_header_id|>");
  EXPECT_EQ(llama->tokens[128007], "<|end_header_id|>");
  EXPECT_EQ(llama->tokens[128008], "<|reserved_special_token_4|>");
  EXPECT_EQ(llama->tokens[128009], "<|eot_id|>");
  EXPECT_EQ(llama->tokens[128010], "<|reserved_special_token_5|>");
  EXPECT_EQ(llama->tokens[128255], "<|reserved_special_token_250|>");
  EXPECT_EQ(llama->bos, 128000);
  EXPECT_EQ(llama->eos, 128001);
  EXPECT_EQ(llama->eot, 128009);
  EXPECT_TRUE(llama->add_bos);
  const auto qwen = ParseTiktoken(Ranks(151643));
  ASSERT_TRUE(qwen) << qwen.error().message;
  EXPECT_EQ(qwen->pre, "qwen2");
  EXPECT_EQ(qwen->tokens[151643], "<|endoftext|>");
  EXPECT_EQ(qwen->tokens[151644], "<|im_start|>");
  EXPECT_EQ(qwen->tokens[151645], "<|im_end|>");
  EXPECT_EQ(qwen->tokens[151646], "<|extra_0|>");
  EXPECT_EQ(qwen->eot, 151645);
  EXPECT_FALSE(qwen->add_bos);
}

TEST(Tiktoken, AnotherNumberOfRanksIsRefused) {
  EXPECT_THAT(Refusal(Ranks(100), Code::kUnsupported), HasSubstr("found 100 ranks"));
  EXPECT_THAT(Refusal("", Code::kUnsupported), HasSubstr("found 0 ranks"));
}

TEST(Tiktoken, MalformedLinesAreNamed) {
  for (const char* line : {"AAAA", "AAAA x", "AAA 1", "A*AA 1", "AAAA 1 2", "AAAA -1", "==== 1",
                           "AA=A 1", " 1", "AAAA 99999999999999999999999"})
    EXPECT_THAT(Refusal(std::string("AAAA 0\n") + line, Code::kCorrupt), HasSubstr("line 2"))
        << line;
}

TEST(Tiktoken, RanksMustBeEachOfTheLinesOnce) {
  EXPECT_THAT(Refusal("AAAA 0\nBBBB 0\n", Code::kCorrupt), HasSubstr("rank 0"));
  EXPECT_THAT(Refusal("AAAA 0\nBBBB 7\n", Code::kCorrupt), HasSubstr("rank 7"));
}

TEST(Tiktoken, ItsFirstLineIsRecognised) {
  EXPECT_TRUE(LooksLikeTiktoken("IQ== 0\nIg== 1\n"));
  EXPECT_FALSE(LooksLikeTiktoken("{\"a\": 1}"));
  EXPECT_FALSE(LooksLikeTiktoken(""));
}

}  // namespace
}  // namespace tern
