// The same real vocabulary from different kinds of files, and what is mended on loading.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <optional>

#include "formats/gguf_writer.h"
#include "golden/tokenizer/cases.h"
#include "tokenizer/chat_format.h"

namespace tern {
namespace {

using namespace tern::test;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kLlama3[] = "formats-and-vocabs/ggml-vocab-llama-bpe.gguf";
constexpr char kTexts[] = "hf-goldens/llama3-tokens-a.json";

std::filesystem::path TempFile(const std::string& name) {
  const auto folder = std::filesystem::path(testing::TempDir()) / ("tern_golden_" + name);
  std::filesystem::create_directories(folder);
  return folder / name;
}

TokenizerSpec LoadSpec(const std::filesystem::path& path) {
  auto spec = LoadTokenizerSpec(path.string(), {});
  if (!spec) {
    ADD_FAILURE() << spec.error().message;
    return {};
  }
  return std::move(*spec);
}

/// Llama-3's tokenizer.json as Hugging Face has it, from the vocabulary.
nlohmann::json Llama3Json(const TokenizerSpec& spec) {
  using nlohmann::json;
  json vocab = json::object();
  json added = json::array();
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    if (spec.types[id] == TokenType::kControl) {
      added.push_back({{"id", id}, {"content", spec.tokens[id]}, {"special", true}});
    } else {
      vocab[spec.tokens[id]] = id;
    }
  }
  const char* expression =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const json split = {{"type", "Split"},
                      {"pattern", {{"Regex", expression}}},
                      {"behavior", "Isolated"},
                      {"invert", false}};
  const json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  const json begin = {{"SpecialToken", {{"id", "<|begin_of_text|>"}, {"type_id", 0}}}};
  const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  return {{"added_tokens", added},
          {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, byte_level}}}},
          {"post_processor", {{"type", "TemplateProcessing"}, {"single", {begin, text}}}},
          {"model",
           {{"type", "BPE"}, {"ignore_merges", true}, {"vocab", vocab}, {"merges", spec.merges}}}};
}

TEST(Sources, ATokenizerJsonOfTheSameVocabularyGivesTheSameIds) {
  TERN_SHARED_OR_SKIP(gguf, kLlama3);
  TERN_SHARED_OR_SKIP(texts, kTexts);
  const auto path = TempFile("tokenizer.json");
  std::ofstream(path) << Llama3Json(LoadSpec(gguf)).dump();
  const auto tokenizer = Load(path);
  std::filesystem::remove(path);
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->spec().pre, "llama-bpe");
  EXPECT_EQ(tokenizer->spec().bos, 128000);
  EXPECT_TRUE(tokenizer->spec().add_bos);
  EXPECT_EQ(tokenizer->spec().eot, 128009);
  EXPECT_EQ(CountWrong(*tokenizer, TiktokenCases(texts)), 0U);
}

TEST(Sources, RanksGiveTheMergesOfTheGguf) {
  TERN_SHARED_OR_SKIP(gguf, kLlama3);
  TERN_SHARED_OR_SKIP(ranks, "formats-and-vocabs/llama3-tokenizer.model");
  const TokenizerSpec from_gguf = LoadSpec(gguf);
  const TokenizerSpec from_ranks = LoadSpec(ranks);
  EXPECT_EQ(from_ranks.merges.size(), 280147U);
  EXPECT_TRUE(from_ranks.merges == from_gguf.merges);
  EXPECT_TRUE(from_ranks.tokens == from_gguf.tokens);
  EXPECT_TRUE(from_ranks.types == from_gguf.types);
}

TEST(Sources, QwenRanksGiveTheReferenceIds) {
  TERN_SHARED_OR_SKIP(ranks, "formats-and-vocabs/qwen.tiktoken");
  TERN_SHARED_OR_SKIP(gguf, "formats-and-vocabs/ggml-vocab-qwen2.gguf");
  const auto tokenizer = Load(ranks);
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(CountWrong(*tokenizer, ReferenceCases(gguf)), 0U);
}

TEST(Sources, ASentencePieceModelGivesTheReferenceIds) {
  TERN_SHARED_OR_SKIP(model, "formats-and-vocabs/llama2_tokenizer.model");
  TERN_SHARED_OR_SKIP(gguf, "formats-and-vocabs/ggml-vocab-llama-spm.gguf");
  const auto tokenizer = Load(model);
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(CountWrong(*tokenizer, ReferenceCases(gguf)), 0U);
  const TokenizerSpec from_gguf = LoadSpec(gguf);
  EXPECT_TRUE(tokenizer->spec().tokens == from_gguf.tokens);
  EXPECT_TRUE(tokenizer->spec().types == from_gguf.types);
  EXPECT_TRUE(tokenizer->spec().scores == from_gguf.scores);
}

TEST(Sources, AWordPieceVocabularyIsRefusedByName) {
  TERN_SHARED_OR_SKIP(bert, "formats-and-vocabs/ggml-vocab-bert-bge.gguf");
  const auto spec = LoadTokenizerSpec(bert.string(), {});
  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().code, Code::kUnsupported);
  EXPECT_THAT(spec.error().message, HasSubstr("tokenizer.ggml.model: found \"bert\""));
}

/// The published 2B-4T file has Llama-3's vocabulary, no pre-tokenizer and a placeholder template.
std::filesystem::path Write2B4TVocabulary(const TokenizerSpec& spec) {
  GgufWriter writer;
  writer.Set("general.architecture", std::string("bitnet-b1.58"));
  writer.Set("tokenizer.ggml.model", std::string("gpt2"));
  writer.Set("tokenizer.ggml.tokens", spec.tokens);
  std::vector<int32_t> types;
  for (const TokenType type : spec.types) types.push_back(static_cast<int32_t>(type));
  writer.Set("tokenizer.ggml.token_type", types);
  writer.Set("tokenizer.ggml.merges", spec.merges);
  writer.Set("tokenizer.ggml.bos_token_id", uint32_t{128000});
  writer.Set("tokenizer.ggml.eos_token_id", uint32_t{128001});
  writer.Set("tokenizer.chat_template",
             std::string("{% for m in messages %}{{ 'Human: ' + m }}{% endfor %}\n\n"
                         "BITNETAssistant: "));
  const auto path = TempFile("2b4t.gguf");
  const Status written = writer.Write(path.string());
  EXPECT_TRUE(written) << written.error().message;
  return path;
}

TEST(Sources, The2B4TFileIsMendedAndSaysSo) {
  TERN_SHARED_OR_SKIP(gguf, kLlama3);
  const auto path = Write2B4TVocabulary(LoadSpec(gguf));
  const auto tokenizer = Load(path);
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->spec().pre, "llama-bpe");
  EXPECT_TRUE(tokenizer->spec().add_bos);
  EXPECT_THAT(tokenizer->spec().note, HasSubstr("names no pre-tokenizer"));
  EXPECT_THAT(tokenizer->spec().note, HasSubstr("placeholder"));
  EXPECT_EQ(DetectChatFamily(*tokenizer), ChatFamily::kBitNet);
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(128009));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(128001));
  EXPECT_EQ(CountWrong(*tokenizer, ReferenceCases(gguf)), 0U);

  // What bitnet.cpp does with the same file, on request.
  const auto as_bitnet_cpp = Load(path, {.pre_override = "default"});
  std::filesystem::remove(path);
  ASSERT_NE(as_bitnet_cpp, nullptr);
  EXPECT_THAT(as_bitnet_cpp->Encode("It's 2024!", {}), ElementsAre(2181, 6, 82, 220, 2366, 19, 0));
  EXPECT_THAT(as_bitnet_cpp->Encode("The capital of France is", {}),
              ElementsAre(791, 6864, 315, 9822, 374));
  EXPECT_EQ(CountWrong(*as_bitnet_cpp, ReferenceCases(gguf), false), 7U);
}

const std::vector<ChatMessage> kTalk = {
    {"system", "Be brief."}, {"user", "What is 2+2?\n"}, {"assistant", "4"}};

TEST(Sources, Llama3ConversationsAreTheExpectedIds) {
  TERN_SHARED_OR_SKIP(gguf, kLlama3);
  const auto tokenizer = Load(gguf);
  ASSERT_NE(tokenizer, nullptr);
  const auto ids = [&](ChatFamily family) {
    return EncodeChat(*tokenizer, *RenderChat(family, *tokenizer, kTalk, {}));
  };
  EXPECT_THAT(ids(ChatFamily::kBitNet),
              ElementsAre(128000, 2374, 25, 2893, 10015, 13, 128009, 1502, 25, 3639, 374, 220, 17,
                          10, 17, 30, 128009, 72803, 25, 220, 19, 128009, 72803, 25, 220));
  EXPECT_THAT(ids(ChatFamily::kLlama3),
              ElementsAre(128000, 128006, 9125, 128007, 271, 3513, 10015, 13, 128009, 128006, 882,
                          128007, 271, 3923, 374, 220, 17, 10, 17, 30, 128009, 128006, 78191,
                          128007, 271, 19, 128009, 128006, 78191, 128007, 271));
  EXPECT_THAT(ChatStopTokens(ChatFamily::kBitNet, *tokenizer), ElementsAre(128009, 128001));
}

TEST(Sources, AMegabyteWithoutABreakIsEncodedAndComesBack) {
  TERN_SHARED_OR_SKIP(gguf, kLlama3);
  const auto tokenizer = Load(gguf);
  ASSERT_NE(tokenizer, nullptr);
  for (const std::string unit : {"a", " ", "qwerty"}) {
    std::string text;
    while (text.size() < (1U << 20)) text += unit;
    EXPECT_TRUE(tokenizer->Decode(tokenizer->Encode(text, {})) == text) << unit;
  }
}

}  // namespace
}  // namespace tern
