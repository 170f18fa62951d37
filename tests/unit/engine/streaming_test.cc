#include "engine/streaming.h"

#include <gtest/gtest.h>

#include <map>

#include "engine/engine_loop.h"
#include "support/alphabet.h"

namespace tern {
namespace {

using std::chrono::milliseconds;

class StreamingTest : public testing::TestWithParam<StreamingMode> {
 protected:
  void SetUp() override {
    auto cache = KvCache::Create(*backend_, {1, 16, 1, 2, KvType::kF32});
    ASSERT_TRUE(cache);
    cache_.emplace(std::move(*cache));
    loop_.emplace(LoopParts{executor_, *cache_, *tokenizer_, test::kAlphabetVocab, {}},
                  LoopOptions{.scheduler = {.blocks = 16,
                                            .token_budget = 64,
                                            .logit_rows = 64,
                                            .max_sequences = 8,
                                            .context = 64},
                              .max_queue = 5});
  }
  // Request i begins at letter i % 25, the later ones first to end.
  std::optional<StreamItem> Next() {
    if (given_ == count_) return std::nullopt;
    StreamItem item{.index = 100 + given_};
    const auto letter = static_cast<TokenId>(1 + given_ % 25);
    item.request.prompt = {letter};
    if (given_ == bad_) item.request.prompt.clear();
    item.request.options.sampling.temperature = 0;
    item.request.buffer = 4;
    ++given_;
    most_in_flight_ = std::max(most_in_flight_, given_ - std::ssize(results_));
    return item;
  }
  static std::string TextOf(int64_t index) {
    return std::string("bcdefghijklmnopqrstuvwxyz").substr(static_cast<size_t>((index - 100) % 25));
  }
  Status Run(StreamingConfig config) {
    const Submitter submit = [this](Request request) { return loop_->Submit(std::move(request)); };
    const StreamSink sink{.on_piece =
                              [this](StreamPiece piece) {
                                EXPECT_FALSE(results_.contains(piece.index));
                                texts_[piece.index] += piece.text;
                                pieces_.push_back(piece.index);
                                return std::ssize(pieces_) < stop_after_;
                              },
                          .on_result =
                              [this](StreamResult result) {
                                order_.push_back(result.index);
                                EXPECT_TRUE(results_.emplace(result.index, result).second);
                                return true;
                              }};
    return RunStreaming(
        submit, config, [this] { return Next(); }, sink);
  }

  test::AlphabetExecutor executor_;
  std::unique_ptr<Backend> backend_ = CreateReferenceBackend(1);
  std::unique_ptr<Tokenizer> tokenizer_ = test::AlphabetTokenizer();
  std::optional<KvCache> cache_;
  std::optional<EngineLoop> loop_;
  int64_t count_ = 60, given_ = 0, bad_ = -1, most_in_flight_ = 0, stop_after_ = 1 << 30;
  std::map<int64_t, std::string> texts_;
  std::map<int64_t, StreamResult> results_;
  std::vector<int64_t> pieces_, order_;
};

// With capacity beyond the engine's queue, so that it has to wait for room there.
TEST_P(StreamingTest, EveryRequestIsDeliveredOnceAndWhole) {
  bad_ = 7;
  const Status status = Run({GetParam(), 3, milliseconds(1), 30});
  ASSERT_TRUE(status) << status.error().message;
  ASSERT_EQ(std::ssize(results_), count_);
  for (const auto& [index, result] : results_) {
    if (index == 107) {
      ASSERT_TRUE(result.error);
      EXPECT_EQ(result.error->message, "the prompt is empty");
      continue;
    }
    ASSERT_FALSE(result.error) << result.error->message;
    EXPECT_EQ(result.answers.at(0).text, TextOf(index));
    EXPECT_EQ(result.answers[0].finish, FinishReason::kEndOfText);
    EXPECT_EQ(texts_[index], TextOf(index));
  }
  if (GetParam() == StreamingMode::kSequential) {
    EXPECT_TRUE(std::is_sorted(order_.begin(), order_.end()));
    EXPECT_TRUE(std::is_sorted(pieces_.begin(), pieces_.end()));
  }
}

TEST_P(StreamingTest, NoMoreThanTheCapacityIsBegun) {
  ASSERT_TRUE(Run({GetParam(), 32, milliseconds(1), 3}));
  EXPECT_LE(most_in_flight_, 3);
  EXPECT_EQ(std::ssize(results_), count_);
}

TEST_P(StreamingTest, TheSinkCanStop) {
  stop_after_ = 2;
  const Status status = Run({GetParam(), 4, milliseconds(1), 20});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kCancelled);
  EXPECT_EQ(pieces_.size(), 2u);
  const Status ok = loop_->CheckIntegrity();
  EXPECT_TRUE(ok) << ok.error().message;
  EXPECT_EQ(loop_->Stats().kv_blocks_used, 0);
}

INSTANTIATE_TEST_SUITE_P(Modes, StreamingTest,
                         testing::Values(StreamingMode::kSequential, StreamingMode::kParallel,
                                         StreamingMode::kTimed));

TEST(StreamingConfig, Presets) {
  const StreamingConfig high = StreamingConfig::HighThroughput();
  const StreamingConfig low = StreamingConfig::LowLatency();
  EXPECT_EQ(high.mode, StreamingMode::kParallel);
  EXPECT_EQ(high.buffer, 32u);
  EXPECT_EQ(high.latency, milliseconds(50));
  EXPECT_EQ(high.capacity, 2000u);
  EXPECT_EQ(low.mode, StreamingMode::kSequential);
  EXPECT_EQ(low.buffer, 4u);
  EXPECT_EQ(low.latency, milliseconds(10));
  EXPECT_EQ(low.capacity, 100u);
}

}  // namespace
}  // namespace tern
