// Texts and ids by the reference tokenizers, on real vocabularies.
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer_source.h"
#include "support/shared_data.h"
#include "tokenizer/tokenizer.h"

namespace tern {
namespace {

using test::ReadFile;

std::unique_ptr<Tokenizer> Load(const std::filesystem::path& path) {
  auto spec = LoadTokenizerSpec(path.string(), {});
  if (!spec) {
    ADD_FAILURE() << spec.error().message;
    return nullptr;
  }
  auto tokenizer = Tokenizer::Create(std::move(*spec));
  if (!tokenizer) {
    ADD_FAILURE() << tokenizer.error().message;
    return nullptr;
  }
  return std::move(*tokenizer);
}

std::vector<std::string> SplitAt(std::string_view text, std::string_view separator) {
  std::vector<std::string> parts;
  for (;;) {
    const size_t at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + separator.size());
  }
}

std::vector<TokenId> ParseIds(const std::string& line) {
  std::vector<TokenId> ids;
  const char* at = line.data();
  const char* end = at + line.size();
  while (at != end) {
    TokenId id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    if (error == std::errc()) ids.push_back(id);
    at = error == std::errc() ? next : at + 1;
  }
  return ids;
}

class ReferencePairs : public testing::TestWithParam<const char*> {};

TEST_P(ReferencePairs, GiveTheSameIdsAndDecodeToTheText) {
  const std::string name = std::string("formats-and-vocabs/ggml-vocab-") + GetParam() + ".gguf";
  TERN_SHARED_OR_SKIP(path, name);
  const auto tokenizer = Load(path);
  ASSERT_NE(tokenizer, nullptr);
  const std::vector<std::string> texts =
      SplitAt(ReadFile(path.string() + ".inp"), "\n__ggml_vocab_test__\n");
  const std::vector<std::string> lines = SplitAt(ReadFile(path.string() + ".out"), "\n");
  ASSERT_EQ(texts.size(), 47U);
  ASSERT_GE(lines.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "text " << i << ": " << testing::PrintToString(texts[i]));
    const std::vector<TokenId> ids = tokenizer->Encode(texts[i], {});
    EXPECT_EQ(ids, ParseIds(lines[i]));
    EXPECT_EQ(tokenizer->Decode(ids), texts[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(RealVocabularies, ReferencePairs,
                         testing::Values("llama-bpe", "qwen2", "gpt-2", "mpt", "starcoder",
                                         "refact", "falcon", "deepseek-llm", "deepseek-coder",
                                         "llama-spm", "phi-3"),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

struct Case {
  std::string text;
  std::vector<TokenId> ids;
};

std::vector<Case> TiktokenCases(const std::filesystem::path& path) {
  std::vector<Case> cases;
  for (const auto& entry : nlohmann::json::parse(ReadFile(path)))
    cases.push_back({entry.at("text"), entry.at("ids")});
  return cases;
}

class TiktokenCasesFrom : public testing::TestWithParam<const char*> {};

TEST_P(TiktokenCasesFrom, GiveTheSameIdsAndDecodeToTheText) {
  TERN_SHARED_OR_SKIP(path, std::string("formats-and-vocabs/") + GetParam());
  TERN_SHARED_OR_SKIP(cases_path, "hf-goldens/llama3-tokens-a.json");
  const auto tokenizer = Load(path);
  ASSERT_NE(tokenizer, nullptr);
  const std::vector<Case> cases = TiktokenCases(cases_path);
  ASSERT_EQ(cases.size(), 1500U);
  size_t wrong = 0;
  for (const Case& c : cases) {
    const std::vector<TokenId> ids = tokenizer->Encode(c.text, {});
    if (ids == c.ids && tokenizer->Decode(ids) == c.text) continue;
    if (++wrong <= 5) {
      EXPECT_EQ(ids, c.ids) << testing::PrintToString(c.text);
    }
  }
  EXPECT_EQ(wrong, 0U);
}

INSTANTIATE_TEST_SUITE_P(Llama3, TiktokenCasesFrom,
                         testing::Values("ggml-vocab-llama-bpe.gguf", "llama3-tokenizer.model"),
                         [](const auto& param) {
                           return std::string(param.param).starts_with("ggml") ? "gguf"
                                                                               : "tiktoken";
                         });

}  // namespace
}  // namespace tern
