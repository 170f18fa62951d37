#include "engine/engine_loop.h"

#include <gtest/gtest.h>

#include <cmath>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "support/alphabet.h"
#include "support/ranking_executor.h"

namespace tern {
namespace {

using std::chrono::milliseconds;

struct Ended {
  std::string text;
  std::vector<TokenId> ids;
  std::optional<FinishReason> finish;
  std::optional<Error> error;
  GenerationStats stats;
  int events = 0;
};

// All answers of a request.
std::vector<Ended> ReadAll(RequestHandle& handle, int n = 1) {
  std::vector<Ended> ended(static_cast<size_t>(n));
  while (auto event = handle.Next()) {
    Ended& one = ended[static_cast<size_t>(event->index)];
    EXPECT_FALSE(one.finish || one.error) << "an event after the last";
    one.text += event->text;
    one.ids.insert(one.ids.end(), event->ids.begin(), event->ids.end());
    one.finish = event->finish;
    one.error = event->error;
    one.stats = event->stats;
    ++one.events;
  }
  EXPECT_TRUE(handle.Finished());
  return ended;
}

// Holds the engine up before its first pass.
class Gate {
 public:
  void Enter() {
    std::unique_lock lock(mutex_);
    arrived_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  /// Until the engine stands at the gate.
  void Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return arrived_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false, arrived_ = false;
};

class EngineLoopTest : public testing::Test {
 protected:
  static constexpr int64_t kContext = 64;

  void Start(LoopOptions options = {}, int64_t blocks = 16) {
    auto cache = KvCache::Create(*backend_, {1, blocks, 1, 2, KvType::kF32});
    ASSERT_TRUE(cache);
    cache_.emplace(std::move(*cache));
    options.scheduler.blocks = blocks;
    options.scheduler.token_budget = 64;
    options.scheduler.logit_rows = 64;
    options.scheduler.context = std::min(kContext, blocks * kBlockPositions);
    options.scheduler.max_sequences = 8;
    loop_.emplace(LoopParts{executor_, *cache_, *tokenizer_, test::kAlphabetVocab, {}, &monitor_},
                  options);
  }
  Request Ask(std::string_view prompt, int64_t max_tokens = 100) {
    Request request;
    request.prompt = tokenizer_->Encode(prompt, {});
    request.options.sampling.temperature = 0;
    request.options.max_tokens = max_tokens;
    return request;
  }
  RequestHandle Submit(Request request) {
    auto handle = loop_->Submit(std::move(request));
    EXPECT_TRUE(handle) << handle.error().message;
    return std::move(*handle);
  }
  void ExpectClean() {
    const Status ok = loop_->CheckIntegrity();
    EXPECT_TRUE(ok) << ok.error().message;
    EXPECT_EQ(loop_->Stats().kv_blocks_used, 0);
  }

  test::AlphabetExecutor executor_;
  std::unique_ptr<Backend> backend_ = CreateReferenceBackend(1);
  std::unique_ptr<Tokenizer> tokenizer_ = test::AlphabetTokenizer();
  std::optional<KvCache> cache_;
  PerformanceMonitor monitor_;
  std::optional<EngineLoop> loop_;
};

TEST_F(EngineLoopTest, AnswersManyAtOnce) {
  Start();
  std::vector<RequestHandle> handles;
  for (char c = 'a'; c <= 'y'; ++c) handles.push_back(Submit(Ask(std::string(1, c))));
  for (size_t i = 0; i < handles.size(); ++i) {
    const Ended ended = ReadAll(handles[i]).at(0);
    EXPECT_EQ(ended.text, std::string("bcdefghijklmnopqrstuvwxyz").substr(i));
    EXPECT_EQ(ended.finish, FinishReason::kEndOfText);
    EXPECT_EQ(ended.stats.prompt_tokens, 1);
    EXPECT_EQ(ended.stats.generated_tokens, static_cast<int64_t>(26 - i));
  }
  ExpectClean();
  const EngineStats stats = loop_->Stats();
  EXPECT_EQ(stats.requests, 25u);
  EXPECT_EQ(stats.finished, 25u);
  EXPECT_EQ(stats.generated_tokens, 26u * 25 / 2 + 25);
  EXPECT_EQ(monitor_.queue_time().count(), 25u);
  EXPECT_EQ(monitor_.first_token().count(), 25u);
  EXPECT_EQ(monitor_.between_tokens().count(), stats.generated_tokens - 25);
  EXPECT_EQ(monitor_.pass_time().count(), stats.steps);
}

TEST_F(EngineLoopTest, ReasonsToEnd) {
  Start();
  auto length = Submit(Ask("a", 3));
  EXPECT_EQ(ReadAll(length)[0].finish, FinishReason::kLength);
  auto none = Submit(Ask("a", 0));
  EXPECT_EQ(ReadAll(none)[0].finish, FinishReason::kLength);
  Request stop = Ask("a");
  stop.options.stop = {"fgh"};
  auto stopped = Submit(stop);
  const Ended ended = ReadAll(stopped)[0];
  EXPECT_EQ(ended.finish, FinishReason::kStopString);
  EXPECT_EQ(ended.text, "bcde");
  Request full = Ask("a", 1000);
  full.options.ignore_eos = true;
  auto context = Submit(full);
  const Ended filled = ReadAll(context)[0];
  EXPECT_EQ(filled.finish, FinishReason::kContext);
  EXPECT_EQ(std::ssize(filled.ids), kContext);
  Request late = Ask("a");
  late.deadline = std::chrono::steady_clock::now();
  auto missed = Submit(late);
  EXPECT_EQ(ReadAll(missed)[0].finish, FinishReason::kDeadline);
  ExpectClean();
}

TEST_F(EngineLoopTest, SeveralAnswersToOnePrompt) {
  Start();
  Request request = Ask(std::string(40, 'x'));
  request.n = 5;
  auto handle = Submit(request);
  for (const Ended& one : ReadAll(handle, 5)) EXPECT_EQ(one.text, "yz");
  // One prompt of 40, and a row for each other answer's copy of its last token; each answer then
  // has two more.
  EXPECT_EQ(executor_.rows, 40 + 4 + 5 * 2);
  ExpectClean();
}

TEST_F(EngineLoopTest, MinTokensBiasAndLogprobs) {
  Start();
  Request request = Ask("y");
  request.options.min_tokens = 2;
  request.options.top_logprobs = 2;
  request.options.max_tokens = 2;
  auto handle = Submit(request);
  std::vector<TokenEvent> logprobs;
  while (auto event = handle.Next())
    logprobs.insert(logprobs.end(), event->logprobs.begin(), event->logprobs.end());
  ASSERT_EQ(logprobs.size(), 2u);
  EXPECT_EQ(logprobs[0].id, 26);
  EXPECT_NEAR(logprobs[0].logprob, 9 - std::log(std::exp(9.0) + 27), 1e-6);
  ASSERT_EQ(logprobs[0].top.size(), 2u);
  EXPECT_EQ(logprobs[0].top[0].id, 26);
  EXPECT_EQ(logprobs[1].id, 1);  // the end was banned: the first of the others
  EXPECT_EQ(logprobs[1].top[0].id, 0);

  Request biased = Ask("a", 1);
  biased.options.logit_bias = {{7, 20.0f}};
  auto other = Submit(biased);
  EXPECT_EQ(ReadAll(other)[0].text, "g");
}

TEST_F(EngineLoopTest, BadRequestsAreRefusedAtOnce) {
  Start();
  const auto message = [&](Request request) {
    const auto handle = loop_->Submit(std::move(request));
    EXPECT_FALSE(handle);
    return handle ? "" : handle.error().message;
  };
  EXPECT_EQ(message(Ask("")), "the prompt is empty");
  EXPECT_EQ(message(Ask(std::string(64, 'a'))),
            "the prompt has 64 tokens, expected at most 63 in a context of 64");
  Request request = Ask("a");
  request.prompt = {30};
  EXPECT_EQ(message(request), "token id 30 of the prompt is not in the vocabulary of 30");
  request = Ask("a");
  request.n = 0;
  EXPECT_EQ(message(request), "n: found 0, expected 1 to 128");
  request = Ask("a");
  request.options.sampling.top_p = 2;
  EXPECT_EQ(message(request), "top_p: found 2, expected 0 to 1");
  request = Ask("a");
  request.options.logit_bias = {{28, 1.0f}};
  EXPECT_EQ(message(request), "logit_bias: token id 28 is not in the vocabulary of 28");
}

TEST_F(EngineLoopTest, BeyondTheQueueRequestsAreRefused) {
  Gate gate;
  executor_.before = [&] { gate.Enter(); };
  Start({.max_queue = 2});
  auto running = Submit(Ask("a"));
  gate.Wait();  // it has begun
  auto second = Submit(Ask("b")), third = Submit(Ask("c"));
  const auto fourth = loop_->Submit(Ask("d"));
  ASSERT_FALSE(fourth);
  EXPECT_EQ(fourth.error().code, Code::kResourceExhausted);
  EXPECT_EQ(fourth.error().message, "2 requests wait already, at most 2 may");
  gate.Open();
  ReadAll(running);
  ReadAll(second);
  ReadAll(third);
  auto fifth = Submit(Ask("e"));
  ReadAll(fifth);
  EXPECT_EQ(loop_->Stats().refused, 1u);
}

TEST_F(EngineLoopTest, ASlowReaderCostsItsOwnRequestAlone) {
  Start();
  Request slow = Ask("a", 25);
  slow.buffer = 4;
  auto slow_handle = Submit(slow);
  for (int i = 0; i < 20; ++i) {
    auto other = Submit(Ask("a"));
    EXPECT_EQ(ReadAll(other)[0].text, "bcdefghijklmnopqrstuvwxyz");
  }
  ASSERT_TRUE(loop_->CheckIntegrity());
  EXPECT_EQ(loop_->Stats().paused, 1);
  const Ended ended = ReadAll(slow_handle)[0];
  EXPECT_EQ(ended.text, "bcdefghijklmnopqrstuvwxyz");
  EXPECT_EQ(ended.events, 25);
  ExpectClean();
}

TEST_F(EngineLoopTest, AReaderThatTakesNothingIsCutOff) {
  Start({.stall_limit = milliseconds(1)});
  Request slow = Ask("a", 25);
  slow.buffer = 2;
  auto handle = Submit(slow);
  while (loop_->Stats().failed == 0) ASSERT_TRUE(loop_->CheckIntegrity());  // a turn of the loop
  const Ended ended = ReadAll(handle)[0];
  ASSERT_TRUE(ended.error);
  EXPECT_EQ(ended.error->message, "the reader took nothing for 1 ms");
  ExpectClean();
}

TEST_F(EngineLoopTest, AFaultOfTheExecutorEndsItsBatchAndNoMore) {
  Start();
  executor_.fail = true;
  Request request = Ask("a");
  request.n = 3;
  auto handle = Submit(request);
  for (const Ended& one : ReadAll(handle, 3)) {
    ASSERT_TRUE(one.error);
    EXPECT_EQ(one.error->code, Code::kDevice);
  }
  auto next = Submit(Ask("x"));
  EXPECT_EQ(ReadAll(next)[0].text, "yz");
  executor_.fail = true;
  EXPECT_EQ(loop_->Embed({{1}}).error().message, "the device is gone");
  ExpectClean();
  EXPECT_EQ(loop_->Stats().failed, 2u);
}

TEST_F(EngineLoopTest, CancelledFromAnyThreadAndByDestruction) {
  Gate gate;
  executor_.before = [&] { gate.Enter(); };
  Start();
  auto cancelled = Submit(Ask("a"));
  {
    auto dropped = Submit(Ask("a"));
    gate.Wait();
  }
  std::thread([&] { cancelled.Cancel(); }).join();
  gate.Open();
  EXPECT_EQ(ReadAll(cancelled)[0].finish, FinishReason::kCancelled);
  ExpectClean();
  EXPECT_EQ(loop_->Stats().cancelled, 2u);
}

TEST_F(EngineLoopTest, WhatIsUnfinishedEndsWithTheLoop) {
  Gate gate;
  executor_.before = [&] { gate.Enter(); };
  Start();
  auto handle = Submit(Ask("a"));
  gate.Wait();
  std::thread ending([&] { loop_.reset(); });
  gate.Open();
  ending.join();
  ReadAll(handle);
  handle.Cancel();  // nobody is there any more
}

TEST_F(EngineLoopTest, DrainingFinishesOrCancels) {
  Start();
  auto handle = Submit(Ask("a"));
  EXPECT_TRUE(loop_->Drain(std::chrono::hours(1)));
  EXPECT_EQ(ReadAll(handle)[0].finish, FinishReason::kEndOfText);
  const auto refused = loop_->Submit(Ask("a"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kCancelled);

  Start();
  Request stuck = Ask("a");
  stuck.buffer = 1;
  auto paused = Submit(stuck);
  const Status drained = loop_->Drain(milliseconds(1));
  ASSERT_FALSE(drained);
  EXPECT_EQ(drained.error().message, "1 requests hadn't finished after 1 ms and were cancelled");
  EXPECT_EQ(ReadAll(paused)[0].finish, FinishReason::kCancelled);
}

// Oracle: by hand, for hidden states (token, position, 1).
TEST_F(EngineLoopTest, AnEmbeddingIsTheMeanOfLengthOne) {
  Start();
  std::vector<TokenId> longest(kContext, 2);
  const auto result = loop_->Embed({{3, 5}, longest});
  ASSERT_TRUE(result) << result.error().message;
  const double norm = std::sqrt(4 * 4 + 0.5 * 0.5 + 1);
  EXPECT_FLOAT_EQ((*result)[0][0], static_cast<float>(4 / norm));
  EXPECT_FLOAT_EQ((*result)[0][1], static_cast<float>(0.5 / norm));
  EXPECT_FLOAT_EQ((*result)[0][2], static_cast<float>(1 / norm));
  EXPECT_FLOAT_EQ((*result)[1][1] / (*result)[1][2], (kContext - 1) / 2.0f);
  EXPECT_FALSE(loop_->Embed({{1}, {}}));
  ExpectClean();
}

TEST_F(EngineLoopTest, GuessesFromThePromptSavePasses) {
  Start({.draft_tokens = 4});
  auto handle = Submit(Ask("abcdefghijklmnopqrstuvwxyz-abc"));
  const Ended ended = ReadAll(handle)[0];
  EXPECT_EQ(ended.text, "defghijklmnopqrstuvwxyz");
  EXPECT_GT(ended.stats.accepted_tokens, 15);
  EXPECT_LT(ended.events, 10);
  ExpectClean();
}

// Logits that stay on a device, of which most answers need only the best: the same texts. Twelve
// requests at once, one kind each.
TEST(EngineLoopRanking, AnswersAreTheSameWhereLogitsStay) {
  constexpr int64_t kBlocks = 64;
  const auto tokenizer = test::AlphabetTokenizer();
  const auto backend = CreateReferenceBackend(1);
  test::RandomLogitsExecutor executor(test::kAlphabetVocab);
  const auto run = [&](Executor& with, int kinds_first, int kinds) {
    auto cache = KvCache::Create(*backend, {1, kBlocks, 1, 2, KvType::kF32});
    EXPECT_TRUE(cache);
    LoopOptions options;
    options.scheduler.blocks = kBlocks;
    options.scheduler.token_budget = options.scheduler.logit_rows = 64;
    options.scheduler.context = 64;
    EngineLoop loop({with, *cache, *tokenizer, test::kAlphabetVocab}, options);
    std::vector<RequestHandle> handles;
    for (int i = kinds_first; i < kinds_first + kinds; ++i) {
      Request request;
      request.prompt = {i % 26 + 1, 5, 7};
      request.options.max_tokens = 40;
      request.options.ignore_eos = true;
      request.options.sampling = {.temperature = i % 2 == 0 ? 0.0f : 1.0f,
                                  .top_k = i % 3 + 2,
                                  .seed = static_cast<uint64_t>(i)};
      if (i == 3) request.options.sampling.repeat_penalty = 1.2f;
      if (i == 5) request.options.sampling.top_k = 0;
      if (i == 7) request.options.top_logprobs = 2;
      if (i == 8) request.options.logit_bias = {{3, -100.0f}, {4, -1.0f}};
      if (i == 9) request.options.min_tokens = 10;
      auto handle = loop.Submit(std::move(request));
      EXPECT_TRUE(handle) << handle.error().message;
      handles.push_back(std::move(*handle));
    }
    std::vector<std::vector<TokenId>> ids;
    for (RequestHandle& handle : handles) {
      const Ended ended = ReadAll(handle)[0];
      EXPECT_FALSE(ended.error) << ended.error->message;
      ids.push_back(ended.ids);
    }
    return ids;
  };
  test::RankingExecutor ranking(executor, 8);
  EXPECT_EQ(run(ranking, 0, 12), run(executor, 0, 12));
  EXPECT_GT(ranking.asked, 200);
  EXPECT_LT(ranking.fetched, ranking.asked / 2);
  EXPECT_GT(ranking.fetched, 0);
  // One that wants all of its logits every time gets them with the pass.
  test::RankingExecutor alone(executor, 8);
  EXPECT_EQ(run(alone, 7, 1), run(executor, 7, 1));
  EXPECT_EQ(alone.asked, 0);
}

}  // namespace
}  // namespace tern
