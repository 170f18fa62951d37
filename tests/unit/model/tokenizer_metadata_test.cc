#include "model/tokenizer_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tokenizer/tokenizer.h"

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Metadata ByteLevel() {
  Metadata metadata;
  metadata.Set("tokenizer.ggml.model", std::string("gpt2"));
  metadata.Set("tokenizer.ggml.pre", std::string("qwen2"));
  metadata.Set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab", "<end>"});
  metadata.Set("tokenizer.ggml.token_type", std::vector<int64_t>{1, 1, 1, 3});
  metadata.Set("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  metadata.Set("tokenizer.ggml.eos_token_id", int64_t{3});
  return metadata;
}

Metadata SentencePiece() {
  Metadata metadata;
  metadata.Set("tokenizer.ggml.model", std::string("llama"));
  metadata.Set("tokenizer.ggml.tokens", std::vector<std::string>{"<unk>", "<s>", "\u2581", "a"});
  metadata.Set("tokenizer.ggml.token_type", std::vector<int64_t>{2, 3, 1, 1});
  metadata.Set("tokenizer.ggml.scores", std::vector<double>{0, 0, -1, -2});
  metadata.Set("tokenizer.ggml.unknown_token_id", int64_t{0});
  return metadata;
}

TokenizerSpec Read(const Metadata& metadata, const TokenizerSourceOptions& options = {}) {
  auto spec = SpecFromMetadata(metadata, options);
  if (!spec) {
    ADD_FAILURE() << spec.error().message;
    return {};
  }
  return std::move(*spec);
}

std::string Refusal(const Metadata& metadata, Code code,
                    const TokenizerSourceOptions& options = {}) {
  const auto spec = SpecFromMetadata(metadata, options);
  if (spec) return "accepted";
  EXPECT_EQ(spec.error().code, code) << spec.error().message;
  return spec.error().message;
}

TEST(TokenizerMetadata, ByteLevelKeysAreRead) {
  Metadata metadata = ByteLevel();
  metadata.Set("tokenizer.ggml.add_bos_token", true);
  metadata.Set("tokenizer.chat_template", std::string("{{ x }}"));
  const TokenizerSpec spec = Read(metadata);
  EXPECT_EQ(spec.model, TokenizerModel::kByteBpe);
  EXPECT_EQ(spec.pre, "qwen2");
  EXPECT_THAT(spec.merges, ElementsAre("a b"));
  EXPECT_EQ(spec.types[3], TokenType::kControl);
  EXPECT_EQ(spec.eos, 3);
  EXPECT_EQ(spec.bos, std::nullopt);
  EXPECT_TRUE(spec.add_bos);
  EXPECT_EQ(spec.chat_template, "{{ x }}");
  EXPECT_EQ(spec.note, "");
}

TEST(TokenizerMetadata, SentencePieceKeysAreRead) {
  Metadata metadata = SentencePiece();
  metadata.Set("tokenizer.ggml.add_space_prefix", false);
  const TokenizerSpec spec = Read(metadata);
  EXPECT_EQ(spec.model, TokenizerModel::kSentencePieceBpe);
  EXPECT_THAT(spec.scores, ElementsAre(0, 0, -1, -2));
  EXPECT_TRUE(spec.add_bos);
  EXPECT_FALSE(spec.add_eos);
  EXPECT_FALSE(spec.add_space_prefix);
  EXPECT_TRUE(Read(SentencePiece()).add_space_prefix);
}

TEST(TokenizerMetadata, SentencePieceMergesAreReadWhenThereAreAny) {
  Metadata metadata = SentencePiece();
  metadata.Set("tokenizer.ggml.merges", std::vector<std::string>{"\u2581 a"});
  EXPECT_THAT(Read(metadata).merges, ElementsAre("\u2581 a"));
}

TEST(TokenizerMetadata, BosIsAddedAsThePreTokenizerHasItUnlessTheFileSays) {
  Metadata metadata = ByteLevel();
  EXPECT_FALSE(Read(metadata).add_bos);
  metadata.Set("tokenizer.ggml.pre", std::string("falcon3"));
  EXPECT_TRUE(Read(metadata).add_bos);
  metadata.Set("tokenizer.ggml.add_bos_token", false);
  EXPECT_FALSE(Read(metadata).add_bos);
}

TEST(TokenizerMetadata, MissingArraysAreNormal) {
  Metadata metadata;
  metadata.Set("tokenizer.ggml.model", std::string("llama"));
  metadata.Set("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
  const TokenizerSpec spec = Read(metadata);
  EXPECT_TRUE(spec.types.empty() && spec.scores.empty());
  EXPECT_THAT(spec.note, HasSubstr("no token scores"));
}

TEST(TokenizerMetadata, AnIdOfNoneIsNone) {
  for (const int64_t none : {int64_t{-1}, int64_t{4294967295}}) {
    Metadata metadata = ByteLevel();
    metadata.Set("tokenizer.ggml.padding_token_id", none);
    EXPECT_EQ(Read(metadata).padding, std::nullopt);
  }
}

TEST(TokenizerMetadata, AMissingPreTokenizerIsDefaultAndSaid) {
  Metadata metadata = ByteLevel();
  metadata.Set("tokenizer.ggml.pre", std::string());
  const TokenizerSpec spec = Read(metadata);
  EXPECT_EQ(spec.pre, "default");
  EXPECT_THAT(spec.note, HasSubstr("\"default\""));
}

TEST(TokenizerMetadata, TheCallersPreTokenizerWins) {
  const TokenizerSpec spec = Read(ByteLevel(), {.pre_override = "gpt-2"});
  EXPECT_EQ(spec.pre, "gpt-2");
  Metadata strange = ByteLevel();
  strange.Set("tokenizer.ggml.pre", std::string("tekken"));
  EXPECT_EQ(Read(strange, {.pre_override = "default"}).pre, "default");
  EXPECT_THAT(Refusal(ByteLevel(), Code::kUnsupported, {.pre_override = "x"}), HasSubstr("\"x\""));
}

TEST(TokenizerMetadata, OtherModelsAreRefusedByName) {
  Metadata metadata = ByteLevel();
  metadata.Set("tokenizer.ggml.model", std::string("bert"));
  EXPECT_THAT(Refusal(metadata, Code::kUnsupported),
              HasSubstr("tokenizer.ggml.model: found \"bert\", expected \"gpt2\""));
  metadata = ByteLevel();
  metadata.Set("tokenizer.ggml.pre", std::string("tekken"));
  EXPECT_THAT(Refusal(metadata, Code::kUnsupported),
              HasSubstr("tokenizer.ggml.pre: unknown pre-tokenizer \"tekken\""));
}

TEST(TokenizerMetadata, WhatIsMissingIsNamed) {
  EXPECT_FALSE(HasTokenizer(Metadata()));
  EXPECT_THAT(Refusal(Metadata(), Code::kNotFound), HasSubstr("tokenizer.ggml.model"));
  Metadata metadata;
  metadata.Set("tokenizer.ggml.model", std::string("gpt2"));
  EXPECT_THAT(Refusal(metadata, Code::kNotFound), HasSubstr("tokenizer.ggml.tokens"));
  metadata.Set("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
  EXPECT_THAT(Refusal(metadata, Code::kNotFound), HasSubstr("tokenizer.ggml.merges"));
}

TEST(TokenizerMetadata, ContradictionsAreNamed) {
  const auto refusal = [](Metadata metadata, const char* key, const MetaValue& value) {
    metadata.Set(key, value);
    return Refusal(metadata, Code::kCorrupt);
  };
  EXPECT_THAT(refusal(ByteLevel(), "tokenizer.ggml.token_type", std::vector<int64_t>{1}),
              HasSubstr("token_type: found 1 entries, expected 4"));
  for (const int64_t type : {0, 7, -1})
    EXPECT_THAT(
        refusal(ByteLevel(), "tokenizer.ggml.token_type", std::vector<int64_t>{1, type, 1, 1}),
        HasSubstr("token 1: found"));
  EXPECT_THAT(refusal(SentencePiece(), "tokenizer.ggml.scores", std::vector<double>{1}),
              HasSubstr("scores: found 1 entries"));
  EXPECT_THAT(refusal(ByteLevel(), "tokenizer.ggml.bos_token_id", int64_t{4}),
              HasSubstr("bos_token_id: found 4, expected an id below 4"));
  EXPECT_THAT(refusal(ByteLevel(), "tokenizer.ggml.eos_token_id", int64_t{-2}),
              HasSubstr("eos_token_id: found -2"));
  EXPECT_THAT(refusal(ByteLevel(), "tokenizer.ggml.tokens", std::string("a")),
              HasSubstr("tokenizer.ggml.tokens"));
}

}  // namespace
}  // namespace tern
