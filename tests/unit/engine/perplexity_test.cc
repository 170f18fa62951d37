#include "engine/perplexity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "backend/reference/reference_backend.h"

namespace tern {
namespace {

constexpr int64_t kVocab = 300;

// Knows one thing: after token t comes token t + 1, with a logit of 2 against 0 for all others. It
// also checks what the window is allowed to see.
class NextTokenExecutor final : public Executor {
 public:
  int64_t max_rows() const override { return 4; }

  Result<FloatView> Forward(const Batch& batch, KvCache&) override {
    logits_.assign(batch.tokens.size() * kVocab, 0.0f);
    for (size_t r = 0; r < batch.tokens.size(); ++r) {
      logits_[r * kVocab + static_cast<size_t>((batch.tokens[r] + 1) % kVocab)] = 2;
      last_position = std::max(last_position, batch.positions[r]);
    }
    return FloatView(logits_.data(), static_cast<int64_t>(batch.tokens.size()), kVocab);
  }

  int32_t last_position = -1;

 private:
  std::vector<float> logits_;
};

class PerplexityTest : public testing::Test {
 protected:
  void SetUp() override {
    backend_ = CreateReferenceBackend(1);
    auto cache = KvCache::Create(*backend_, {1, 1, 64, 1});
    ASSERT_TRUE(cache);
    cache_.emplace(std::move(*cache));
  }

  NextTokenExecutor executor_;
  std::unique_ptr<Backend> backend_;
  std::optional<KvCache> cache_;
};

TEST_F(PerplexityTest, PredictsEveryTokenButTheFirstOnce) {
  DocumentStream stream;
  for (int i = 0; i < 25; ++i) stream.ids.push_back(i);
  stream.bytes = 100;
  const auto result = MeasurePerplexity(executor_, *cache_, stream, {.window = 10}, {});
  ASSERT_TRUE(result);
  const double nats = std::log(std::exp(2.0) + kVocab - 1) - 2;
  EXPECT_EQ(result->tokens, 24);
  EXPECT_NEAR(result->nats, 24 * nats, 1e-9);
  EXPECT_NEAR(result->Perplexity(), std::exp(nats), 1e-9);
  EXPECT_NEAR(result->BitsPerByte(), 24 * nats / std::log(2) / 100, 1e-12);
  EXPECT_EQ(executor_.last_position, 9);
}

TEST_F(PerplexityTest, AWrongGuessCostsMore) {
  const auto result = MeasurePerplexity(executor_, *cache_, {{5, 5}, 1}, {}, {});
  ASSERT_TRUE(result);
  EXPECT_NEAR(result->nats, std::log(std::exp(2.0) + kVocab - 1), 1e-9);
}

TEST_F(PerplexityTest, OneTokenIsAnError) {
  EXPECT_FALSE(MeasurePerplexity(executor_, *cache_, {{5}, 1}, {}, {}));
  EXPECT_FALSE(MeasurePerplexity(executor_, *cache_, {{}, 0}, {}, {}));
}

TEST_F(PerplexityTest, ProgressCanStop) {
  DocumentStream stream{{1, 2, 3, 4, 5, 6, 7, 8, 9}, 9};
  const auto result =
      MeasurePerplexity(executor_, *cache_, stream, {},
                        [](int64_t, int64_t, const PerplexityResult&) { return false; });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kCancelled);
}

// 256 byte tokens in GPT-2's alphabet are not needed here: ASCII letters stand for themselves in
// it.
std::unique_ptr<Tokenizer> LetterTokenizer() {
  TokenizerSpec spec;
  spec.pre = "gpt-2";
  spec.tokens = {"<|endoftext|>"};
  spec.types = {TokenType::kControl};
  for (char c = 'a'; c <= 'z'; ++c) {
    spec.tokens.push_back(std::string(1, c));
    spec.types.push_back(TokenType::kNormal);
  }
  spec.tokens.push_back("\xC4\x8A");  // GPT-2's sign for a line feed
  spec.types.push_back(TokenType::kNormal);
  spec.eos = spec.bos = 0;
  return std::move(Tokenizer::Create(std::move(spec))).value_or(nullptr);
}

TEST(ReadDocuments, SplitsAtSeparatorLinesAndStrips) {
  const auto tokenizer = LetterTokenizer();
  ASSERT_TRUE(tokenizer);
  const DocumentStream stream =
      ReadDocuments("ab\n<|endoftext|>\nc\n\n<|endoftext|>\n", *tokenizer);
  EXPECT_EQ(stream.ids, (std::vector<TokenId>{0, 1, 2, 0, 3, 0}));
  EXPECT_EQ(stream.bytes, 3);
}

TEST(ReadDocuments, OneDocumentIsTakenAsItIs) {
  const auto tokenizer = LetterTokenizer();
  ASSERT_TRUE(tokenizer);
  const DocumentStream stream = ReadDocuments("ab\n", *tokenizer);
  EXPECT_EQ(stream.ids, (std::vector<TokenId>{0, 1, 2, 27}));
  EXPECT_EQ(stream.bytes, 3);
}

}  // namespace
}  // namespace tern
