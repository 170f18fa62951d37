#include "tokenizer/tokenizer_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/shared_data.h"
#include "support/small_tokenizers.h"

namespace tern {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

json Data(const std::string& name) {
  return json::parse(test::ReadFile(std::string(TERN_TEST_DATA) + "/tokenizer/" + name));
}

TokenizerSpec Parse(const json& tokenizer) {
  auto spec = ParseTokenizerJson(tokenizer.dump());
  if (!spec) {
    ADD_FAILURE() << spec.error().message;
    return {};
  }
  return std::move(*spec);
}

/// The message of a refusal.
std::string Refusal(const json& tokenizer, Code code) {
  const auto spec = ParseTokenizerJson(tokenizer.dump());
  if (spec) return "accepted";
  EXPECT_EQ(spec.error().code, code) << spec.error().message;
  return spec.error().message;
}

TEST(TokenizerJson, ByteLevelFilesGiveVocabularyMergesAndSpecials) {
  const TokenizerSpec spec = Parse(Data("byte_level.json"));
  EXPECT_EQ(spec.model, TokenizerModel::kByteBpe);
  EXPECT_EQ(spec.pre, "llama-bpe");
  EXPECT_EQ(spec.tokens.size(), 17U);
  EXPECT_EQ(spec.bos, 14);
  EXPECT_TRUE(spec.add_bos);
  EXPECT_FALSE(spec.add_eos);
  EXPECT_EQ(spec.types[15], TokenType::kControl);
  EXPECT_EQ(spec.types[16], TokenType::kUserDefined);
  EXPECT_EQ(spec.note, "");
  const auto tokenizer = test::MakeTokenizer(spec);
  EXPECT_THAT(tokenizer->Encode("hello world", {.add_bos = true}),
              ElementsAre(14, 11, 12, 3, 5, 2, 6));
  EXPECT_THAT(tokenizer->Encode("world<tool>", {}), ElementsAre(13, 16));  // ignore_merges
}

TEST(TokenizerJson, SentencePieceLikeFilesKeepTheirMergeOrder) {
  const TokenizerSpec spec = Parse(Data("sentencepiece_like.json"));
  EXPECT_EQ(spec.model, TokenizerModel::kSentencePieceBpe);
  EXPECT_TRUE(spec.add_space_prefix);
  EXPECT_TRUE(spec.add_bos && spec.add_eos);
  EXPECT_EQ(spec.bos, 1);
  EXPECT_EQ(spec.eos, 2);
  EXPECT_EQ(spec.unknown, 0);
  EXPECT_THAT(spec.scores, ElementsAre(-1000, -1000, -1000, 0, 0, 0, 0, 0, 0, -2, -1, -3, -4));
  const auto tokenizer = test::MakeTokenizer(spec);
  EXPECT_THAT(tokenizer->Encode("abc abca", {}), ElementsAre(12, 12, 6));
  EXPECT_THAT(tokenizer->Encode("\u00e9", {}), ElementsAre(5, 3, 4));
}

TEST(TokenizerJson, GemmaAndMetaspaceWaysToReplaceSpacesAreRead) {
  json gemma = Data("sentencepiece_like.json");
  gemma["normalizer"] = gemma["normalizer"]["normalizers"][1];
  gemma["pre_tokenizer"] = {{"type", "Split"},
                            {"pattern", {{"String", " "}}},
                            {"behavior", "MergedWithPrevious"},
                            {"invert", false}};
  EXPECT_FALSE(Parse(gemma).add_space_prefix);
  json metaspace = Data("sentencepiece_like.json");
  metaspace["normalizer"] = nullptr;
  metaspace["pre_tokenizer"] = {{"type", "Metaspace"},
                                {"replacement", "\u2581"},
                                {"prepend_scheme", "first"},
                                {"split", false}};
  EXPECT_TRUE(Parse(metaspace).add_space_prefix);
  EXPECT_THAT(Parse(metaspace).note, HasSubstr("after special tokens"));
  metaspace["pre_tokenizer"]["prepend_scheme"] = "never";
  EXPECT_FALSE(Parse(metaspace).add_space_prefix);
}

TEST(TokenizerJson, PreTokenizersAreNamedAfterTheirSteps) {
  const json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  json without_regex = byte_level;
  without_regex["use_regex"] = false;
  const auto pre = [](const json& pre_tokenizers) {
    json file = Data("byte_level.json");
    file["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", pre_tokenizers}};
    return Parse(file).pre;
  };
  const json digits = {{"type", "Digits"}, {"individual_digits", true}};
  const json punctuation = {{"type", "Punctuation"}, {"behavior", "Contiguous"}};
  EXPECT_EQ(pre(json::array({byte_level})), "gpt-2");
  EXPECT_EQ(pre({digits, byte_level}), "starcoder");
  EXPECT_EQ(pre({punctuation, digits, without_regex}), "steps:punctuation,digit");
  json alone = Data("byte_level.json");
  alone["pre_tokenizer"] = byte_level;
  EXPECT_EQ(Parse(alone).pre, "gpt-2");
}

TEST(TokenizerJson, AnUnknownExpressionIsNamed) {
  json file = Data("byte_level.json");
  file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = R"(\p{Han}+|\w+)";
  EXPECT_THAT(Refusal(file, Code::kUnsupported),
              HasSubstr(R"(unknown expression "\\p{Han}+|\\w+")"));
}

TEST(TokenizerJson, WhatTernCannotDoIsRefusedByName) {
  const auto refusal = [](const char* pointer, const json& value) {
    json file = Data("byte_level.json");
    file[json::json_pointer(pointer)] = value;
    return Refusal(file, Code::kUnsupported);
  };
  EXPECT_THAT(refusal("/model/type", "WordPiece"), HasSubstr("model type \"WordPiece\""));
  EXPECT_THAT(refusal("/model/type", "Unigram"), HasSubstr("Unigram"));
  EXPECT_THAT(refusal("/model/end_of_word_suffix", "</w>"), HasSubstr("end_of_word_suffix"));
  EXPECT_THAT(refusal("/normalizer", {{"type", "Lowercase"}}), HasSubstr("Lowercase"));
  EXPECT_THAT(refusal("/pre_tokenizer", {{"type", "BertPreTokenizer"}}), HasSubstr("Bert"));
  EXPECT_THAT(refusal("/pre_tokenizer", nullptr), HasSubstr("neither"));
  EXPECT_THAT(refusal("/pre_tokenizer/pretokenizers/0/behavior", "MergedWithNext"),
              HasSubstr("MergedWithNext"));
  EXPECT_THAT(refusal("/pre_tokenizer/pretokenizers/1/add_prefix_space", true),
              HasSubstr("add_prefix_space"));
  EXPECT_THAT(refusal("/post_processor", {{"type", "RobertaProcessing"}}), HasSubstr("Roberta"));
}

TEST(TokenizerJson, ContradictionsAreCorrupt) {
  const auto refusal = [](const char* pointer, const json& value) {
    json file = Data("byte_level.json");
    file[json::json_pointer(pointer)] = value;
    return Refusal(file, Code::kCorrupt);
  };
  EXPECT_THAT(refusal("/model", nullptr), HasSubstr("'model'"));
  EXPECT_THAT(refusal("/model/vocab", json::object()), HasSubstr("model.vocab"));
  EXPECT_THAT(refusal("/model/vocab/e", -1), HasSubstr("token \"e\": found id -1"));
  EXPECT_THAT(refusal("/model/vocab/e", 4000000000U), HasSubstr("4000000000"));
  EXPECT_THAT(refusal("/model/vocab/e", "1"), HasSubstr("found id string"));
  EXPECT_THAT(refusal("/model/vocab/e", 0), HasSubstr("id 0: found both"));
  EXPECT_THAT(refusal("/model/merges", nullptr), HasSubstr("model.merges"));
  EXPECT_THAT(refusal("/model/merges/0", 7), HasSubstr("merge 0"));
  EXPECT_THAT(refusal("/model/merges/0", {"a b", "c"}), HasSubstr("merge 0"));
  EXPECT_THAT(refusal("/added_tokens/0/content", nullptr), HasSubstr("added_tokens"));
}

TEST(TokenizerJson, GapsBetweenIdsAreUnusedTokens) {
  json file = Data("byte_level.json");
  file["added_tokens"][2]["id"] = 20;
  const TokenizerSpec spec = Parse(file);
  EXPECT_EQ(spec.tokens.size(), 21U);
  EXPECT_EQ(spec.types[17], TokenType::kUnused);
  EXPECT_THAT(test::MakeTokenizer(spec)->Encode("<tool>", {}), ElementsAre(20));
}

TEST(TokenizerJson, WhatIsLeftOutIsSaid) {
  json file = Data("byte_level.json");
  file["normalizer"] = {{"type", "NFC"}};
  file["added_tokens"][2]["lstrip"] = true;
  EXPECT_THAT(Parse(file).note, HasSubstr("NFC"));
  EXPECT_THAT(Parse(file).note, HasSubstr("lstrip"));
}

TEST(TokenizerJson, WhatIsNotJsonOrNestsTooDeepIsRefused) {
  EXPECT_EQ(ParseTokenizerJson("").error().code, Code::kCorrupt);
  EXPECT_EQ(ParseTokenizerJson("{\"model\": ").error().code, Code::kCorrupt);
  EXPECT_EQ(ParseTokenizerJson("[]").error().code, Code::kCorrupt);
  EXPECT_EQ(ParseTokenizerJson(std::string(100000, '[')).error().code, Code::kUnsupported);
}

}  // namespace
}  // namespace tern
