// The engine on the built-in model: what a request gets doesn't depend on what else runs, and
// nothing is left behind.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/rng.h"
#include "grammar/grammar.h"
#include "registry/registry.h"
#include "support/regex.h"

namespace tern {
namespace {

constexpr const char* kModel = TERN_SOURCE_DIR "/models/tern-stories.gguf";

std::unique_ptr<Backend> NewBackend(const char* name, int threads) {
  auto backend = CreateBackend(name, {.threads = threads});
  EXPECT_TRUE(backend) << backend.error().message;
  return std::move(*backend);
}

std::unique_ptr<Engine> NewEngine(EngineOptions options, int threads = 2,
                                  const char* backend = "cpu") {
  options.session.model = kModel;
  auto engine = Engine::Create(NewBackend(backend, threads), options);
  EXPECT_TRUE(engine) << engine.error().message;
  return std::move(*engine);
}

struct Text {
  std::vector<TokenId> ids;
  std::string text;
  FinishReason finish = FinishReason::kCancelled;
  bool operator==(const Text&) const = default;
};
void PrintTo(const Text& text, std::ostream* out) {
  *out << text.text << " (" << text.ids.size() << " tokens, " << FinishReasonName(text.finish)
       << ")";
}

// 64 requests of every kind: greedy and drawn, penalties, short and long, prompts that begin alike.
std::vector<Request> Requests(const Tokenizer& tokenizer) {
  const char* beginnings[] = {"Once upon a time", "One day, a little girl named Lily went",
                              "Tom and his dog", "The sun was very hot and the big bear"};
  std::string story = "There was a small house by the sea. ";
  for (int i = 0; i < 4; ++i) story += "The house was red and the sea was blue and big. ";
  Rng random(7);
  std::vector<Request> requests;
  for (int i = 0; i < 64; ++i) {
    Request request;
    const std::string text = (i % 3 == 0 ? story : "") + beginnings[random.Next() % 4];
    request.prompt = tokenizer.Encode(text, {.add_bos = true});
    GenerationOptions& options = request.options;
    options.max_tokens = 4 + static_cast<int64_t>(random.Next() % 28);
    options.sampling.seed = random.Next();
    options.sampling.temperature = i % 2 == 0 ? 0.0f : 0.9f;
    if (i % 5 == 0) options.sampling.repeat_penalty = 1.2f;
    if (i % 7 == 0) options.sampling.top_k = 0;
    if (i % 8 == 0) options.stop = {"big", "."};
    if (i % 9 == 0) options.min_tokens = 6;
    request.priority = static_cast<int>(random.Next() % 3);
    request.cache_prompt = i % 10 != 9;
    requests.push_back(std::move(request));
  }
  return requests;
}

Text Read(RequestHandle& handle) {
  Text text;
  while (auto event = handle.Next()) {
    EXPECT_FALSE(event->error) << event->error->message;
    text.text += event->text;
    text.ids.insert(text.ids.end(), event->ids.begin(), event->ids.end());
    text.finish = event->finish.value_or(text.finish);
  }
  return text;
}

// Each request alone, by the generator, which has neither scheduler nor paging.
const std::vector<Text>& Alone(const char* backend) {
  static std::map<std::string, std::vector<Text>> of_backends;
  std::vector<Text>& texts = of_backends[backend];
  if (texts.empty()) {
    SessionOptions options;
    options.model = kModel;
    auto session = Session::Open(NewBackend(backend, 1), options);
    EXPECT_TRUE(session) << session.error().message;
    for (const Request& request : Requests(*(*session)->tokenizer())) {
      const auto result = (*session)->NewGenerator().Generate(request.prompt, request.options, {});
      EXPECT_TRUE(result) << result.error().message;
      texts.push_back({result->ids, result->text, result->finish});
    }
  }
  return texts;
}

struct Mix {
  const char* name;
  EngineOptions options;
  int threads;
  const char* backend = "cpu";
};
void PrintTo(const Mix& mix, std::ostream* out) { *out << mix.name << ", " << mix.backend; }

class BatchInvariance : public testing::TestWithParam<Mix> {
 protected:
  void SetUp() override {
    const auto there = CreateBackend(GetParam().backend, {});
    if (!there) GTEST_SKIP() << there.error().message;
  }
};

TEST_P(BatchInvariance, EachOf64RequestsGetsWhatItGetsAlone) {
  const auto engine = NewEngine(GetParam().options, GetParam().threads, GetParam().backend);
  const auto requests = Requests(engine->tokenizer());
  std::vector<RequestHandle> handles;
  for (const Request& request : requests) {
    auto handle = engine->Submit(request);
    ASSERT_TRUE(handle) << handle.error().message;
    handles.push_back(std::move(*handle));
  }
  // Some readers are slower than others.
  std::vector<Text> texts(handles.size());
  for (size_t i = handles.size(); i-- > 0;) texts[i] = Read(handles[i]);
  const std::vector<Text>& alone = Alone(GetParam().backend);
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(texts[i], alone[i]) << "request " << i;
  const Status ok = engine->CheckIntegrity();
  EXPECT_TRUE(ok) << ok.error().message;
  const EngineStats stats = engine->Stats();
  EXPECT_EQ(stats.kv_blocks_used, 0);
  EXPECT_EQ(stats.finished, 64u);
  const EngineOptions& options = GetParam().options;
  EXPECT_EQ(stats.cached_tokens > 0, options.prefix_cache);
  EXPECT_EQ(stats.drafted_tokens > 0, options.draft_tokens > 0);
  EXPECT_EQ(stats.preempted > 0, options.kv_tokens > 0);
  EXPECT_EQ(stats.swapped_blocks > 0, options.swap_memory.value_or(0) > 0);
  EXPECT_EQ(stats.swap_slots_used, 0);
}

std::vector<Mix> Mixes(const char* backend) {
  return {
      {"as it comes", {}, 2, backend},
      {"no prefix cache, small chunks", {.token_budget = 40, .prefix_cache = false}, 1, backend},
      {"guessing", {.token_budget = 128, .draft_tokens = 5}, 3, backend},
      {"little memory",
       {.max_sequences = 16, .kv_tokens = 320, .swap_memory = 0, .draft_tokens = 3},
       2,
       backend},
      {"little memory, room for some on the host",
       {.max_sequences = 16, .kv_tokens = 320, .swap_memory = 3 << 20, .draft_tokens = 3},
       2,
       backend},
      {"little memory, room for all on the host",
       {.max_sequences = 16, .kv_tokens = 320, .prefix_cache = false, .swap_memory = 64 << 20},
       2,
       backend}};
}
INSTANTIATE_TEST_SUITE_P(Mixes, BatchInvariance, testing::ValuesIn(Mixes("cpu")));
INSTANTIATE_TEST_SUITE_P(Gpu, BatchInvariance, testing::ValuesIn(Mixes("cuda")));

TEST(Engine, AnswersToOnePromptAreThoseOfTheirSeeds) {
  const auto engine = NewEngine({});
  Request request = Requests(engine->tokenizer())[9];
  request.n = 4;
  auto handle = engine->Submit(request);
  ASSERT_TRUE(handle);
  std::vector<std::string> texts(4);
  while (auto event = handle->Next()) texts[static_cast<size_t>(event->index)] += event->text;
  request.n = 1;
  for (const std::string& text : texts) {
    auto one = engine->Submit(request);
    ASSERT_TRUE(one);
    EXPECT_EQ(Read(*one).text, text);
    ++request.options.sampling.seed;
  }
  EXPECT_NE(texts[0], texts[1]);
}

TEST(Engine, ACachedPromptGivesTheSameAndIsNotComputed) {
  const auto engine = NewEngine({});
  Request request = Requests(engine->tokenizer())[0];
  std::vector<Text> texts;
  std::vector<int64_t> cached;
  for (int i = 0; i < 2; ++i) {
    auto handle = engine->Submit(request);
    ASSERT_TRUE(handle);
    Text text;
    while (auto event = handle->Next()) {
      text.text += event->text;
      if (event->finish) cached.push_back(event->stats.cached_tokens);
    }
    texts.push_back(std::move(text));
  }
  EXPECT_EQ(texts[0], texts[1]);
  EXPECT_EQ(cached[0], 0);
  EXPECT_EQ(cached[1], (std::ssize(request.prompt) - 1) / kBlockPositions * kBlockPositions);
}

TEST(Engine, AThousandCancelsLeaveNothing) {
  const auto engine = NewEngine({.max_sequences = 16, .kv_tokens = 512, .draft_tokens = 3});
  const auto requests = Requests(engine->tokenizer());
  Rng random(3);
  std::vector<RequestHandle> handles;
  int cancelled = 0;
  for (int i = 0; cancelled < 1000; ++i) {
    Request request = requests[random.Next() % requests.size()];
    request.n = 1 + static_cast<int>(random.Next() % 3 == 0);
    request.buffer = 1 + random.Next() % 8;
    auto handle = engine->Submit(std::move(request));
    if (handle) handles.push_back(std::move(*handle));
    for (uint64_t reads = random.Next() % 6; reads > 0 && !handles.empty(); --reads)
      handles[random.Next() % handles.size()].TryNext();
    while (handles.size() > random.Next() % 40) {  // gone, some with a word before
      const auto at = handles.begin() + static_cast<std::ptrdiff_t>(random.Next() % handles.size());
      if (random.Next() % 2) at->Cancel();
      handles.erase(at);
      ++cancelled;
    }
    if (i % 20 == 0) {
      const Status ok = engine->CheckIntegrity();
      ASSERT_TRUE(ok) << ok.error().message;
    }
  }
  handles.clear();
  const Status drained = engine->Drain(std::chrono::hours(1));
  EXPECT_TRUE(drained) << drained.error().message;
  const Status ok = engine->CheckIntegrity();
  EXPECT_TRUE(ok) << ok.error().message;
  EXPECT_EQ(engine->Stats().kv_blocks_used, 0);
  EXPECT_EQ(engine->Stats().running + engine->Stats().waiting, 0);
}

TEST(Engine, AnswersOfAGrammarAreOfItWithAndWithoutGuesses) {
  const auto grammar =
      Grammar::FromGbnf("root ::= (\"The cat \" | \"A dog \") [a-z]+ (\" \" [a-z]+)? \".\"");
  ASSERT_TRUE(grammar) << grammar.error().message;
  std::vector<std::vector<Text>> runs;
  for (const int guesses : {0, 4}) {
    const auto engine = NewEngine({.draft_tokens = guesses});
    std::vector<Text>& texts = runs.emplace_back();
    for (Request request : Requests(engine->tokenizer())) {
      if (texts.size() == 8) break;
      request.options.grammar = *grammar;
      request.options.stop.clear();
      request.options.min_tokens = 0;
      request.options.max_tokens = 60;
      auto handle = engine->Submit(std::move(request));
      ASSERT_TRUE(handle) << handle.error().message;
      texts.push_back(Read(*handle));
      if (texts.back().finish != FinishReason::kEndOfText) continue;  // long words
      EXPECT_TRUE(
          std::regex_match(texts.back().text, std::regex("(The cat |A dog )[a-z]+( [a-z]+)?\\.")))
          << texts.back().text;
    }
  }
  EXPECT_EQ(runs[0], runs[1]);
  const auto ended = [](const Text& text) { return text.finish == FinishReason::kEndOfText; };
  EXPECT_GE(std::count_if(runs[0].begin(), runs[0].end(), ended), 4);
}

TEST(Engine, MemoryBudgets) {
  EngineOptions options;
  options.session.model = kModel;
  options.memory_budget = 1000;
  const auto tiny = Engine::Create(NewBackend("cpu", 1), options);
  ASSERT_FALSE(tiny);
  EXPECT_EQ(tiny.error().code, Code::kResourceExhausted);
  EXPECT_TRUE(tiny.error().message.starts_with(
      "the memory budget of 1000 bytes is too small: weights take "))
      << tiny.error().message;
  // What is left decides on the context.
  const auto roomy = NewEngine({});
  options = {};
  options.kv_tokens = 128;
  const auto small = NewEngine(options);
  EXPECT_EQ(small->context(), 128);
  EXPECT_GT(roomy->context(), 128);
  Request request;
  request.prompt.assign(128, 5);
  const auto refused = small->Submit(request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "the prompt has 128 tokens, expected at most 127 in a context of 128");
}

class Embeddings : public testing::TestWithParam<const char*> {};

TEST_P(Embeddings, DontDependOnTheMix) {
  const auto there = CreateBackend(GetParam(), {});
  if (!there) GTEST_SKIP() << there.error().message;
  const auto one = NewEngine({.token_budget = 8}, 1, GetParam());
  const auto many = NewEngine({}, 3, GetParam());
  std::vector<std::vector<TokenId>> inputs;
  for (const Request& request : Requests(one->tokenizer())) inputs.push_back(request.prompt);
  inputs.resize(12);
  const auto together = many->Embed(inputs);
  ASSERT_TRUE(together) << together.error().message;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto alone = one->Embed({inputs[i]});
    ASSERT_TRUE(alone);
    EXPECT_EQ((*alone)[0], (*together)[i]);
    double norm = 0;
    for (const float value : (*alone)[0]) norm += double{value} * value;
    EXPECT_NEAR(norm, 1, 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Embeddings, testing::Values("cpu"));
INSTANTIATE_TEST_SUITE_P(Gpu, Embeddings, testing::Values("cuda"));

}  // namespace
}  // namespace tern
