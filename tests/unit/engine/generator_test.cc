#include "engine/generator.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "backend/reference/reference_backend.h"
#include "support/ranking_executor.h"

namespace tern {
namespace {

constexpr int64_t kVocab = 30;  // two rows of padding behind the 28 tokens

// After letter c comes the next letter; after z the end of text. Padding rows are the largest
// logits of all.
class AlphabetExecutor final : public Executor {
 public:
  int64_t max_rows() const override { return 3; }

  Result<FloatView> Forward(const Batch& batch, KvCache&) override {
    for (size_t i = 0; i < batch.tokens.size(); ++i) {
      EXPECT_EQ(batch.positions[i], static_cast<int32_t>(seen.size()));
      seen.push_back(batch.tokens[i]);
    }
    logits_.assign(kVocab, 0.0f);
    logits_[28] = logits_[29] = 100;
    logits_[static_cast<size_t>(batch.tokens.back() == 26 ? 0 : batch.tokens.back() + 1)] = 9;
    return FloatView(logits_.data(), static_cast<int64_t>(batch.logit_rows.size()), kVocab);
  }

  std::vector<TokenId> seen;  // every token that was run

 private:
  std::vector<float> logits_;
};

class GeneratorTest : public testing::Test {
 protected:
  static constexpr int64_t kContext = 40;

  void SetUp() override {
    TokenizerSpec spec;
    spec.pre = "gpt-2";
    spec.tokens = {"<|endoftext|>"};
    spec.types = {TokenType::kControl};
    for (char c = 'a'; c <= 'z'; ++c) {
      spec.tokens.push_back(std::string(1, c));
      spec.types.push_back(TokenType::kNormal);
    }
    spec.tokens.push_back("-");
    spec.types.push_back(TokenType::kNormal);
    spec.eos = 0;
    auto tokenizer = Tokenizer::Create(std::move(spec));
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    tokenizer_ = std::move(*tokenizer);
    auto cache = KvCache::Create(*backend_, {1, BlocksFor(kContext), 1, 1});
    ASSERT_TRUE(cache);
    cache_.emplace(std::move(*cache));
    generator_.emplace(executor_, *cache_, *tokenizer_, kVocab, kContext);
    options_.sampling.temperature = 0;
  }

  Result<GenerationResult> Run(std::string_view prompt) {
    streamed_.clear();
    return generator_->Generate(tokenizer_->Encode(prompt, {}), options_,
                                [this](std::string_view text) {
                                  streamed_ += text;
                                  return streamed_.size() < cancel_after_;
                                });
  }

  AlphabetExecutor executor_;
  std::unique_ptr<Backend> backend_ = CreateReferenceBackend(1);
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<KvCache> cache_;
  std::optional<Generator> generator_;
  GenerationOptions options_;
  std::string streamed_;
  size_t cancel_after_ = 1000;
};

TEST_F(GeneratorTest, EndsAtTheEndOfTextTokenAndStreamsWhatItReturns) {
  const auto result = Run("uvw");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->text, "xyz");
  EXPECT_EQ(streamed_, "xyz");
  EXPECT_EQ(result->ids, (std::vector<TokenId>{24, 25, 26}));
  EXPECT_EQ(result->finish, FinishReason::kEndOfText);
  EXPECT_EQ(result->stats.prompt_tokens, 3);
  EXPECT_EQ(result->stats.generated_tokens, 4);
}

TEST_F(GeneratorTest, EndsAtMaxTokens) {
  options_.max_tokens = 5;
  const auto result = Run("a");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->text, "bcdef");
  EXPECT_EQ(result->finish, FinishReason::kLength);
}

TEST_F(GeneratorTest, AStopStringAcrossTokensEndsTheTextBeforeIt) {
  options_.stop = {"fgh", "yz"};
  const auto result = Run("a");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->text, "bcde");
  EXPECT_EQ(streamed_, "bcde");
  EXPECT_EQ(result->finish, FinishReason::kStopString);
}

TEST_F(GeneratorTest, TextHeldBackForAStopStringComesOutAtTheEnd) {
  options_.stop = {"yz!"};
  const auto result = Run("v");
  ASSERT_TRUE(result);
  EXPECT_EQ(streamed_, "wxyz");
}

TEST_F(GeneratorTest, AStopStringFoundInTheRestEndsTheTextToo) {
  options_.stop = {"yz!", "z"};
  const auto result = Run("v");
  ASSERT_TRUE(result);
  EXPECT_EQ(streamed_, "wxy");
  EXPECT_EQ(result->finish, FinishReason::kStopString);
}

TEST_F(GeneratorTest, EndsWhenTheContextIsFull) {
  options_.ignore_eos = true;
  options_.max_tokens = 1000;
  const auto result = Run("a");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->finish, FinishReason::kContext);
  EXPECT_EQ(std::ssize(result->ids), kContext);
}

TEST_F(GeneratorTest, TheCallerCanCancel) {
  cancel_after_ = 3;
  const auto result = Run("a");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->finish, FinishReason::kCancelled);
  EXPECT_EQ(streamed_, "bcd");
  const std::atomic<bool> set = true;
  const auto at_once = generator_->Generate(tokenizer_->Encode("xy", {}), options_, {}, &set);
  ASSERT_TRUE(at_once);
  EXPECT_EQ(at_once->finish, FinishReason::kCancelled);
  EXPECT_EQ(at_once->text, "");
}

TEST_F(GeneratorTest, APromptThatContinuesTheLastOneIsOnlyExtended) {
  ASSERT_TRUE(Run("xy"));
  // In the cache: x y z (the end of text was sampled, not run).
  const size_t before = executor_.seen.size();
  const auto result = Run("xyzab");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->stats.cached_tokens, 3);
  EXPECT_EQ(executor_.seen[before], 1);
}

TEST_F(GeneratorTest, BadPromptsAreErrors) {
  EXPECT_EQ(Run("").error().message, "the prompt is empty");
  const auto tall = Run(std::string(kContext, 'a'));
  ASSERT_FALSE(tall);
  EXPECT_EQ(tall.error().message,
            "the prompt has 40 tokens, expected fewer than the context of 40");
  const std::vector<TokenId> odd = {kVocab};
  EXPECT_FALSE(generator_->Generate(odd, options_, {}));
}

TEST_F(GeneratorTest, TheBestLogitsOfADeviceWillDo) {
  const auto expected = Run("uvw");
  ASSERT_TRUE(expected);
  AlphabetExecutor executor;
  test::RankingExecutor ranking(executor, 4);
  generator_.emplace(ranking, *cache_, *tokenizer_, kVocab, kContext);
  const auto result = Run("uvw");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->ids, expected->ids);
  EXPECT_EQ(ranking.fetched, 0);
}

}  // namespace
}  // namespace tern
