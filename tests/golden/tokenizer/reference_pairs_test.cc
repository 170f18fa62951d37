// Texts and ids by the reference tokenizers, on real vocabularies.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "golden/tokenizer/cases.h"

namespace tern {
namespace {

using namespace tern::test;

class ReferencePairs : public testing::TestWithParam<const char*> {};

TEST_P(ReferencePairs, GiveTheSameIdsAndDecodeToTheText) {
  const std::string name = std::string("formats-and-vocabs/ggml-vocab-") + GetParam() + ".gguf";
  TERN_SHARED_OR_SKIP(path, name);
  const auto tokenizer = Load(path);
  ASSERT_NE(tokenizer, nullptr);
  const std::vector<Case> cases = ReferenceCases(path);
  ASSERT_EQ(cases.size(), 47U);
  EXPECT_EQ(CountWrong(*tokenizer, cases), 0U);
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

class TiktokenCasesFrom : public testing::TestWithParam<const char*> {};

TEST_P(TiktokenCasesFrom, GiveTheSameIdsAndDecodeToTheText) {
  TERN_SHARED_OR_SKIP(path, std::string("formats-and-vocabs/") + GetParam());
  TERN_SHARED_OR_SKIP(cases_path, "hf-goldens/llama3-tokens-a.json");
  const auto tokenizer = Load(path);
  ASSERT_NE(tokenizer, nullptr);
  const std::vector<Case> cases = TiktokenCases(cases_path);
  ASSERT_EQ(cases.size(), 1500U);
  EXPECT_EQ(CountWrong(*tokenizer, cases), 0U);
}

INSTANTIATE_TEST_SUITE_P(Llama3, TiktokenCasesFrom,
                         testing::Values("ggml-vocab-llama-bpe.gguf", "llama3-tokenizer.model"),
                         [](const auto& param) {
                           return std::string(param.param).starts_with("ggml") ? "gguf"
                                                                               : "tiktoken";
                         });

}  // namespace
}  // namespace tern
