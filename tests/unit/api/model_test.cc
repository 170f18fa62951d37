// The public C++ API on the built-in model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tern/tern.h>

#include <cmath>
#include <map>
#include <thread>

namespace tern::v1 {
namespace {

using testing::HasSubstr;

constexpr const char* kPath = TERN_SOURCE_DIR "/models/tern-stories.gguf";
constexpr const char* kPrompt = "Once upon a time";

Model LoadModel(LoadOptions options = {}) {
  options.threads = 2;
  options.context = 256;
  auto model = Model::Load(kPath, options);
  if (!model) ADD_FAILURE() << model.error().message;
  return *model;
}

GenerateOptions Short(uint64_t seed = 1) {
  GenerateOptions options;
  options.max_tokens = 24;
  options.seed = seed;
  return options;
}

GenerateOptions Endless() {
  GenerateOptions options;
  options.max_tokens = 1 << 20;
  options.ignore_eos = true;
  return options;
}

TEST(ApiModel, EveryFormGivesTheSameText) {
  const Model model = LoadModel();
  const auto whole = model.Generate(kPrompt, Short());
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_EQ(whole->finish, FinishReason::kLength);
  EXPECT_EQ(whole->ids.size(), 24u);
  EXPECT_EQ(whole->usage.generated_tokens, 24);
  EXPECT_EQ(whole->text, model.Detokenize(whole->ids));

  std::string called;
  const auto same = model.Generate(kPrompt, Short(), [&called](const Chunk& chunk) {
    called += chunk.text;
    return true;
  });
  EXPECT_EQ(called, whole->text);
  EXPECT_EQ(same->ids, whole->ids);

  std::string pulled;
  auto stream = model.Stream(kPrompt, Short());
  ASSERT_TRUE(stream);
  for (const Chunk& chunk : *stream) pulled += chunk.text;
  EXPECT_EQ(pulled, whole->text);
  EXPECT_EQ(stream->Finish()->text, whole->text);
  EXPECT_EQ(model.Stream(kPrompt, Short())->Finish()->ids, whole->ids);

  EXPECT_EQ(model.GenerateAsync(kPrompt, Short()).get()->text, whole->text);
  const auto ids = model.TokenizePrompt(kPrompt);
  EXPECT_EQ(model.Generate(*ids, Short())->text, whole->text);
}

TEST(ApiModel, AnswerIOfNIsThatOfSeedPlusI) {
  const Model model = LoadModel();
  const auto answers = model.GenerateN(kPrompt, 3, Short(5));
  ASSERT_TRUE(answers) << answers.error().message;
  ASSERT_EQ(answers->size(), 3u);
  for (uint64_t i = 0; i < 3; ++i)
    EXPECT_EQ((*answers)[i].text, model.Generate(kPrompt, Short(5 + i))->text);
  for (const int n : {0, -1, 129}) {
    const auto refused = model.GenerateN(kPrompt, n, Short());
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("n: found"));
  }
}

TEST(ApiModel, ABatchGivesEachTheTextThatItHasAlone) {
  const Model model = LoadModel({.max_sequences = 4});
  std::vector<Request> requests;
  for (uint64_t i = 0; i < 20; ++i)
    requests.push_back({i % 2 ? "The dog" : "Lily and Tom", Short(i)});
  requests.push_back({std::vector<TokenId>{}, Short()});
  std::map<size_t, bool> done;
  const auto results = model.Batch(requests, [&done](size_t index, const auto& result) {
    EXPECT_TRUE(done.emplace(index, result.has_value()).second) << index;
  });
  ASSERT_EQ(results.size(), requests.size());
  EXPECT_EQ(done.size(), requests.size());
  for (size_t i = 0; i < 20; ++i)
    EXPECT_EQ(results[i]->text, model.Generate(requests[i].prompt, requests[i].options)->text) << i;
  EXPECT_EQ(results[20].error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(model.Batch({}).empty());
}

TEST(ApiModel, ABatchWaitsForAQueueThatOthersFill) {
  const Model model = LoadModel({.max_sequences = 1, .max_queue = 1});
  const std::vector<Request> requests(12, {kPrompt, Short()});
  for (const auto& result : model.Batch(requests)) EXPECT_TRUE(result) << result.error().message;
}

TEST(ApiModel, CancellingEndsAnAnswer) {
  const Model model = LoadModel();
  const auto refused = model.Generate(kPrompt, Endless(), [](const Chunk&) { return false; });
  EXPECT_EQ(refused->finish, FinishReason::kCancelled);

  std::stop_source source;
  GenerateOptions options = Endless();
  options.cancel = source.get_token();
  auto future = model.GenerateAsync(kPrompt, options);
  auto stream = model.Stream(kPrompt, options);
  EXPECT_TRUE(stream->Next());
  source.request_stop();
  // Endless ends with the context too, if that is sooner.
  const auto ended = [](FinishReason reason) {
    return reason == FinishReason::kCancelled || reason == FinishReason::kContext;
  };
  EXPECT_TRUE(ended(future.get()->finish));
  EXPECT_TRUE(ended(stream->Finish()->finish));
  EXPECT_EQ(model.Generate(kPrompt, options)->finish, FinishReason::kCancelled) << "from the start";

  auto other = model.Stream(kPrompt, Endless());
  EXPECT_TRUE(other->Next());
  other->Cancel();
  EXPECT_TRUE(ended(other->Finish()->finish));

  auto all = model.Stream(kPrompt, Endless());
  EXPECT_TRUE(all->Next());
  model.CancelAll();
  EXPECT_TRUE(ended(all->Finish()->finish));
  EXPECT_EQ(model.Generate(kPrompt, Short())->finish, FinishReason::kLength) << "later ones run";
}

TEST(ApiModel, StreamsAndFuturesSurviveTheModel) {
  std::optional<TextStream> stream;
  std::future<Result<Completion>> future;
  std::string expected;
  {
    const Model model = LoadModel();
    const Model copy = model;
    expected = copy.Generate(kPrompt, Short())->text;
    stream = *model.Stream(kPrompt, Short());
    future = model.GenerateAsync(kPrompt, Endless());
  }
  EXPECT_EQ(stream->Finish()->text, expected);
  stream.reset();  // and with it the model
  ASSERT_EQ(future.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_TRUE(future.get());
}

TEST(ApiModel, ManyThreadsMayAskAtOnce) {
  const Model model = LoadModel();
  const std::string expected = model.Generate(kPrompt, Short())->text;
  std::vector<std::thread> threads;
  std::atomic<int> same = 0;
  for (int i = 0; i < 6; ++i)
    threads.emplace_back([&] { same += model.Generate(kPrompt, Short())->text == expected; });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(same, 6);
  const Stats stats = model.stats();
  EXPECT_EQ(stats.requests, 7u);
  EXPECT_EQ(stats.generated_tokens, 7u * 24);
  EXPECT_EQ(stats.running, 0);
  EXPECT_EQ(stats.first_token.count, 7u);
  EXPECT_EQ(stats.between_tokens.count, 7u * 23);
  EXPECT_EQ(stats.pass.count, stats.steps);
  EXPECT_EQ(stats.queue.count, 7u);
  EXPECT_GT(stats.between_tokens.p50, 0);
  EXPECT_LE(stats.between_tokens.p50, stats.between_tokens.p999);
  EXPECT_LE(stats.between_tokens.p999, stats.between_tokens.max);
}

TEST(ApiModel, AConversationIsAnswered) {
  const Model model = LoadModel();
  const std::vector<Message> messages = {{"user", kPrompt}};
  const auto answer = model.Generate(messages, Short());
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->text, model.Generate(*model.TokenizePrompt(messages), Short())->text);
  EXPECT_EQ(model.Generate(std::vector<Message>{}, Short()).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_THAT(model.Generate(std::vector<Message>{{"nobody", "x"}}).error().message,
              HasSubstr("nobody"));
}

TEST(ApiModel, EmbeddingsHaveLengthOne) {
  const Model model = LoadModel();
  const std::vector<std::string> texts = {"The dog barked.", "The cat slept.", "The dog barked."};
  const auto embedded = model.Embed(texts);
  ASSERT_TRUE(embedded) << embedded.error().message;
  ASSERT_EQ(embedded->size(), 3u);
  for (const std::vector<float>& row : *embedded) {
    ASSERT_EQ(std::ssize(row), model.info().dim);
    double sum = 0;
    for (const float x : row) sum += double{x} * double{x};
    EXPECT_NEAR(sum, 1, 1e-5);
  }
  EXPECT_EQ(embedded->at(0), embedded->at(2));
  EXPECT_NE(embedded->at(0), embedded->at(1));
}

TEST(ApiModel, LogprobsGrammarsAndBiases) {
  const Model model = LoadModel();
  GenerateOptions options = Short();
  options.temperature = 0;
  options.top_logprobs = 3;
  const auto answer = model.Generate(kPrompt, options);
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_EQ(answer->logprobs.size(), answer->ids.size());
  EXPECT_EQ(answer->logprobs[0].token.id, answer->ids[0]);
  ASSERT_EQ(answer->logprobs[0].top.size(), 3u);
  EXPECT_EQ(answer->logprobs[0].top[0].id, answer->ids[0]);

  options = Short();
  options.logit_bias = {{answer->ids[0], 100.0f}};
  EXPECT_EQ(model.Generate(kPrompt, options)->ids, std::vector<TokenId>(24, answer->ids[0]));

  options = Short();
  options.grammar = "root ::= \" cat\" | \" dog\"";
  const auto animal = model.Generate(kPrompt, options);
  ASSERT_TRUE(animal) << animal.error().message;
  EXPECT_TRUE(animal->text == " cat" || animal->text == " dog") << animal->text;
  options.json_schema = "{}";
  EXPECT_THAT(model.Generate(kPrompt, options).error().message, HasSubstr("one of them"));
  options.json_schema = "";
  options.grammar = "root ::= nothing";
  EXPECT_EQ(model.Generate(kPrompt, options).error().code, ErrorCode::kInvalidArgument);
}

TEST(ApiModel, WhatCannotBeIsRefusedWithItsName) {
  EXPECT_EQ(Model::Load("no-such-file.gguf").error().code, ErrorCode::kNotFound);
  EXPECT_THAT(Model::Load("no-such-file.gguf").error().message, HasSubstr("no-such-file.gguf"));
  EXPECT_THAT(Model::Load(kPath, {.threads = -1}).error().message, HasSubstr("threads: found -1"));
  EXPECT_THAT(Model::Load(kPath, {.max_sequences = 0}).error().message, HasSubstr("max_sequences"));
  EXPECT_THAT(Model::Load(kPath, {.backend = "abacus"}).error().message, HasSubstr("abacus"));
  const Model model = LoadModel();
  EXPECT_EQ(model.Generate(std::vector<TokenId>{}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(model.Generate(std::vector<TokenId>{-1}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(model.Generate(std::vector<TokenId>(300, 5)));
  EXPECT_THAT(model.Generate(kPrompt, {.temperature = -1}).error().message,
              HasSubstr("temperature"));
  EXPECT_FALSE(model.GenerateAsync(std::vector<TokenId>{}).get());
  EXPECT_FALSE(model.Stream(std::vector<TokenId>{}));
}

TEST(ApiModel, LevelsAndPresetsChangeNoText) {
  const std::string expected = LoadModel().Generate(kPrompt, Short())->text;
  LoadOptions options;
  options.level = OptimizationLevel::kNone;
  EXPECT_EQ(LoadModel(options).Generate(kPrompt, Short())->text, expected);
  EXPECT_EQ(LoadModel(LoadOptions::OptimizedForMemory()).Generate(kPrompt, Short())->text,
            expected);
  EXPECT_EQ(LoadModel(LoadOptions::OptimizedForSpeed()).Generate(kPrompt, Short())->text, expected);
}

TEST(ApiModel, EveryKindOfCacheAnswers) {
  for (const KvType kv : {KvType::kF16, KvType::kBf16, KvType::kF32, KvType::kInt8}) {
    LoadOptions options;
    options.kv = kv;
    EXPECT_EQ(LoadModel(options).Generate(kPrompt, Short())->ids.size(), 24u);
  }
}

TEST(ApiModel, TextBecomesTokensAndText) {
  const Model model = LoadModel();
  const auto ids = model.Tokenize("The dog barked.");
  EXPECT_EQ(model.Detokenize(ids), "The dog barked.");
  EXPECT_EQ(model.Tokenize("The dog barked.", {.add_bos = true}).size(), ids.size() + 1);
  EXPECT_EQ(model.info().path, kPath);
  EXPECT_EQ(model.info().context, 256);
}

}  // namespace
}  // namespace tern::v1
