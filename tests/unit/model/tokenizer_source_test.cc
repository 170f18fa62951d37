#include "model/tokenizer_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "formats/gguf_writer.h"
#include "support/shared_data.h"
#include "tokenizer/tokenizer.h"

namespace tern {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

/// A folder of its own for each test.
class TokenizerSource : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / (std::string("tern_tokenizer_") + info->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  void CopyData(const std::string& data, const std::string& name) const {
    fs::copy_file(fs::path(TERN_TEST_DATA) / "tokenizer" / data, folder_ / name);
  }

  fs::path folder_;
};

TokenizerSpec Load(const std::string& path, const TokenizerSourceOptions& options = {}) {
  auto spec = LoadTokenizerSpec(path, options);
  if (!spec) {
    ADD_FAILURE() << spec.error().message;
    return {};
  }
  return std::move(*spec);
}

std::string Refusal(const std::string& path, Code code) {
  const auto spec = LoadTokenizerSpec(path, {});
  if (spec) return "accepted";
  EXPECT_EQ(spec.error().code, code) << spec.error().message;
  return spec.error().message;
}

TEST_F(TokenizerSource, AHuggingFaceFolderIsReadWithItsConfigs) {
  CopyData("byte_level.json", "tokenizer.json");
  Write("tokenizer_config.json",
        R"({"eos_token": {"content": "<|end|>"}, "chat_template": "from config"})");
  Write("generation_config.json", R"({"eos_token_id": [15, 16]})");
  TokenizerSpec spec = Load(folder_.string());
  EXPECT_EQ(spec.bos, 14);
  EXPECT_EQ(spec.eos, 15);
  EXPECT_THAT(spec.stops, ElementsAre(16));
  EXPECT_EQ(spec.chat_template, "from config");
  Write("chat_template.jinja", "from file");
  EXPECT_EQ(Load(folder_.string()).chat_template, "from file");
  EXPECT_EQ(Load(Path("tokenizer.json")).chat_template, "from file");
}

TEST_F(TokenizerSource, AFileIsRecognisedByWhatItIs) {
  CopyData("byte_level.json", "some.bin");
  EXPECT_EQ(Load(Path("some.bin")).model, TokenizerModel::kByteBpe);
  CopyData("sentencepiece_like.json", "other");
  EXPECT_EQ(Load(Path("other")).model, TokenizerModel::kSentencePieceBpe);
  Write("ranks", "AAAA 0\n");
  EXPECT_THAT(Refusal(Path("ranks"), Code::kUnsupported), HasSubstr("found 1 ranks"));
  Write("text", "Once upon a time");
  EXPECT_THAT(Refusal(Path("text"), Code::kUnsupported), HasSubstr("no tokenizer that tern knows"));
  Write("empty", "");
  EXPECT_THAT(Refusal(Path("empty"), Code::kUnsupported), HasSubstr("no tokenizer"));
}

TEST_F(TokenizerSource, ErrorsNameTheFile) {
  EXPECT_THAT(Refusal(Path("missing"), Code::kNotFound), HasSubstr(Path("missing")));
  EXPECT_THAT(Refusal(folder_.string(), Code::kNotFound), HasSubstr("tokenizer.json"));
  CopyData("byte_level.json", "tokenizer.json");
  Write("generation_config.json", R"({"eos_token_id": 99})");
  EXPECT_THAT(Refusal(folder_.string(), Code::kCorrupt),
              HasSubstr(Path("generation_config.json") + ": eos_token_id: found 99"));
  Write("tokenizer_config.json", "{");
  EXPECT_THAT(Refusal(folder_.string(), Code::kCorrupt), HasSubstr("tokenizer_config.json"));
}

TEST_F(TokenizerSource, ThePreTokenizerMayBeChosen) {
  CopyData("byte_level.json", "tokenizer.json");
  EXPECT_EQ(Load(folder_.string(), {.pre_override = "default"}).pre, "default");
  EXPECT_FALSE(LoadTokenizerSpec(folder_.string(), {.pre_override = "nonsense"}));
}

GgufWriter Vocabulary() {
  GgufWriter writer;
  writer.Set("general.architecture", std::string("bitnet-b1.58"));
  writer.Set("tokenizer.ggml.model", std::string("gpt2"));
  writer.Set("tokenizer.ggml.pre", std::string("llama-bpe"));
  writer.Set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab", "<|eot_id|>"});
  writer.Set("tokenizer.ggml.token_type", std::vector<int32_t>{1, 1, 1, 3});
  writer.Set("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  writer.Set("tokenizer.ggml.eos_token_id", uint32_t{2});
  return writer;
}

TEST_F(TokenizerSource, AGgufOfVocabularyOnlyIsEnough) {
  ASSERT_TRUE(Vocabulary().Write(Path("vocab.gguf")));
  const TokenizerSpec spec = Load(Path("vocab.gguf"));
  EXPECT_EQ(spec.tokens.size(), 4U);
  EXPECT_EQ(spec.eot, 3);  // by its name
  EXPECT_TRUE((*Tokenizer::Create(spec))->IsEndOfGeneration(3));
}

TEST_F(TokenizerSource, ThePlaceholderTemplateOf2B4TIsSaid) {
  GgufWriter writer = Vocabulary();
  writer.Set("tokenizer.chat_template", std::string("Human: {{ x }}\n\nBITNETAssistant: "));
  ASSERT_TRUE(writer.Write(Path("model.gguf")));
  EXPECT_THAT(Load(Path("model.gguf")).note, HasSubstr("placeholder"));
}

TEST_F(TokenizerSource, AGgufWithoutATokenizerIsRefusedByName) {
  GgufWriter writer;
  writer.Set("general.architecture", std::string("llama"));
  ASSERT_TRUE(writer.Write(Path("bare.gguf")));
  EXPECT_THAT(Refusal(Path("bare.gguf"), Code::kNotFound), HasSubstr("tokenizer.ggml.model"));
}

}  // namespace
}  // namespace tern
