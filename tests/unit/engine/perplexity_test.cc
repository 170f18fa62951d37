#include "engine/perplexity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "backend/reference/reference_backend.h"
#include "base/rng.h"

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
    auto cache = KvCache::Create(*backend_, {1, 2, 1, 1});
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

// Logits that depend on the token alone, drawn at random.
class RandomExecutor final : public Executor {
 public:
  RandomExecutor(uint64_t seed, int64_t vocab) : vocab_(vocab) {
    Rng rng(seed);
    for (int64_t i = 0; i < vocab * vocab; ++i)
      table_.push_back(static_cast<float>(rng.NextUnit() * 8 - 4));
  }
  int64_t max_rows() const override { return 3; }
  Result<FloatView> Forward(const Batch& batch, KvCache&) override {
    logits_.clear();
    for (const TokenId token : batch.tokens)
      logits_.insert(logits_.end(), Row(token), Row(token) + vocab_);
    return FloatView(logits_.data(), static_cast<int64_t>(batch.tokens.size()), vocab_);
  }
  const float* Row(TokenId token) const { return table_.data() + token * vocab_; }

 private:
  int64_t vocab_;
  std::vector<float> table_, logits_;
};

std::vector<double> Softmax(const float* row, int64_t n) {
  std::vector<double> p;
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) p.push_back(std::exp(double{row[i]}));
  for (const double v : p) sum += v;
  for (double& v : p) v /= sum;
  return p;
}

TEST_F(PerplexityTest, DivergenceIsTheMeanOverAllPredictions) {
  constexpr int64_t kWords = 11;
  RandomExecutor base(1, kWords), model(2, kWords);
  const DocumentStream stream{{3, 1, 4, 1, 5, 9, 2, 6, 10, 0}, 10};
  const auto result =
      MeasureDivergence({base, *cache_}, {model, *cache_}, stream, {.window = 4}, {});
  ASSERT_TRUE(result);
  double kl = 0, largest = 0, base_nats = 0, model_nats = 0;
  int64_t same = 0;
  for (size_t i = 0; i + 1 < stream.ids.size(); ++i) {
    const auto p = Softmax(base.Row(stream.ids[i]), kWords),
               q = Softmax(model.Row(stream.ids[i]), kWords);
    double one = 0;
    for (size_t k = 0; k < p.size(); ++k) one += p[k] * std::log(p[k] / q[k]);
    kl += one;
    largest = std::max(largest, one);
    same += std::max_element(p.begin(), p.end()) - p.begin() ==
            std::max_element(q.begin(), q.end()) - q.begin();
    base_nats -= std::log(p[static_cast<size_t>(stream.ids[i + 1])]);
    model_nats -= std::log(q[static_cast<size_t>(stream.ids[i + 1])]);
  }
  EXPECT_EQ(result->model.tokens, 9);
  EXPECT_NEAR(result->MeanKl(), kl / 9, 1e-9);
  EXPECT_NEAR(result->largest_kl, largest, 1e-9);
  EXPECT_EQ(result->same_top, same);
  EXPECT_NEAR(result->base.nats, base_nats, 1e-9);
  EXPECT_NEAR(result->model.nats, model_nats, 1e-9);
}

TEST_F(PerplexityTest, AModelDoesNotDivergeFromItself) {
  RandomExecutor base(1, 11), model(1, 11);
  const auto result =
      MeasureDivergence({base, *cache_}, {model, *cache_}, {{3, 1, 4, 1, 5}, 5}, {}, {});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->kl, 0);
  EXPECT_EQ(result->SameTopShare(), 1);
}

TEST_F(PerplexityTest, DivergenceOfOtherVocabulariesIsAnError) {
  RandomExecutor base(1, 11), model(1, 12);
  const auto result = MeasureDivergence({base, *cache_}, {model, *cache_}, {{3, 1, 4}, 3}, {}, {});
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("11 tokens, expected the model's 12"), std::string::npos);
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
