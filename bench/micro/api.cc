// What the public API costs: the time of a decoded token through tern::v1 beside that of the raw
// executor's forward pass and the choice of the same token, on the clock and as CPU time of the
// whole process, which other work on the machine disturbs less. In turns; the best round of each
// counts, and the median says what is usual.
#include <benchmark/benchmark.h>
#include <tern/tern.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <vector>

#include "engine/sampler.h"
#include "engine/session.h"
#include "model/executor.h"
#include "platform/cpu_set.h"
#include "registry/registry.h"

namespace tern {
namespace {

constexpr int64_t kTokens = 64, kContext = 128;
// Where in memory a model's weights happen to lie is worth 5%: both are loaded several times.
constexpr int kLoads = 8, kRounds = 10;
constexpr const char* kModel = TERN_SOURCE_DIR "/models/tern-stories.gguf";
constexpr const char* kPrompt = "Once upon a time";

using Clock = std::chrono::steady_clock;

double ProcessSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// From the prompt to the last token, in microseconds a token.
class Meter {
 public:
  void Start() {
    wall_start_ = Clock::now();
    cpu_start_ = ProcessSeconds();
  }
  void Stop(int64_t steps) {
    const std::chrono::duration<double> wall = Clock::now() - wall_start_;
    const double cpu = ProcessSeconds() - cpu_start_;
    wall_.push_back(wall.count() * 1e6 / static_cast<double>(steps));
    cpu_.push_back(cpu * 1e6 / static_cast<double>(steps));
    std::sort(wall_.begin(), wall_.end());
    std::sort(cpu_.begin(), cpu_.end());
  }
  double wall() const { return wall_.front(); }
  double usual() const { return wall_[wall_.size() / 2]; }
  double cpu() const { return cpu_.front(); }

 private:
  std::vector<double> wall_, cpu_;  // of the rounds
  Clock::time_point wall_start_;
  double cpu_start_ = 0;
};

/// Runs these tokens behind the prompt, one after the other. False: others would have been chosen.
bool RunRaw(Session& session, std::span<const TokenId> prompt, std::span<const TokenId> ids,
            Meter& meter) {
  Sampler sampler({.temperature = 0});
  bool same = true;
  const std::vector<BlockId> table = IdentityTable(kContext);
  const SequenceRows rows(prompt, 0, table);
  const auto vocab = static_cast<size_t>(session.tokenizer()->size());
  meter.Start();
  auto logits = session.decoder().Forward(rows.WantingLast(), session.cache());
  for (size_t i = 0;; ++i) {
    same = same && sampler.Sample({logits->Row(0), vocab}, {}, {}) == ids[i];
    if (i + 1 == ids.size()) break;
    const SequenceRows row(ids.subspan(i, 1), static_cast<int64_t>(prompt.size() + i), table);
    logits = session.decoder().Forward(row.WantingLast(), session.cache());
  }
  meter.Stop(std::ssize(ids));
  return same;
}

/// One load of both, and rounds in turns. False: something is wrong.
template <class Generate>
bool Compare(const Generate& generate, Meter& raw, Meter& api) {
  auto backend = CreateBackend("auto", {.threads = 1});
  SessionOptions options;
  options.model = kModel;
  options.context = kContext;
  const auto session = Session::Open(std::move(*backend), options);
  const auto model = v1::Model::Load(kModel, {.threads = 1, .context = kContext});
  if (!session || !model) return false;
  const v1::GenerateOptions greedy{.max_tokens = kTokens, .temperature = 0, .ignore_eos = true};
  const auto prompt = model->TokenizePrompt(kPrompt);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<TokenId> ids;
    api.Start();
    generate(*model, greedy, [&](const v1::Chunk& chunk) {
      ids.insert(ids.end(), chunk.ids.begin(), chunk.ids.end());
      return true;
    });
    api.Stop(std::ssize(ids));
    if (!RunRaw(**session, *prompt, ids, raw)) return false;
  }
  return true;
}

/// note: to be called with every chunk of the answer.
template <class Generate>
void Measure(benchmark::State& state, const Generate& generate) {
  // On one CPU everything that the API does takes time from the model.
  const std::vector<int> cpus = UsableCpus();
  if (state.range(0) != 0) BindToCpus({cpus.back()});
  Meter raw, api;
  for (auto _ : state)
    if (!Compare(generate, raw, api)) state.SkipWithError("no model, or the answers differ");
  BindToCpus(cpus);
  state.counters["raw_us"] = raw.wall();
  state.counters["api_us"] = api.wall();
  state.counters["cost_percent"] = (api.wall() / raw.wall() - 1) * 100;
  state.counters["usual_cost_percent"] = (api.usual() / raw.usual() - 1) * 100;
  state.counters["cpu_raw_us"] = raw.cpu();
  state.counters["cpu_api_us"] = api.cpu();
  state.counters["cpu_cost_percent"] = (api.cpu() / raw.cpu() - 1) * 100;
}

void ApiBlocking(benchmark::State& state) {
  Measure(state, [](const v1::Model& model, const v1::GenerateOptions& options, const auto& note) {
    const auto answer = model.Generate(kPrompt, options);
    note({.text = {}, .ids = answer->ids, .logprobs = {}});
  });
}
BENCHMARK(ApiBlocking)->ArgName("one_cpu")->Arg(0)->Arg(1)->Iterations(kLoads)->UseRealTime();

void ApiCallback(benchmark::State& state) {
  Measure(state, [](const v1::Model& model, const v1::GenerateOptions& options, const auto& note) {
    benchmark::DoNotOptimize(model.Generate(kPrompt, options, note));
  });
}
BENCHMARK(ApiCallback)->ArgName("one_cpu")->Arg(0)->Arg(1)->Iterations(kLoads)->UseRealTime();

void ApiStream(benchmark::State& state) {
  Measure(state, [](const v1::Model& model, const v1::GenerateOptions& options, const auto& note) {
    auto stream = model.Stream(kPrompt, options);
    for (const v1::Chunk& chunk : *stream) note(chunk);
  });
}
BENCHMARK(ApiStream)->ArgName("one_cpu")->Arg(0)->Arg(1)->Iterations(kLoads)->UseRealTime();

}  // namespace
}  // namespace tern
