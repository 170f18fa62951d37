// What the public API costs: the time of a decoded token through tern::v1 beside that of the raw
// executor's forward pass for the same token, on the clock and as CPU time of the whole process,
// which other work on the machine disturbs less. In turns; the best round of each counts.
#include <benchmark/benchmark.h>
#include <tern/tern.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <limits>
#include <vector>

#include "engine/session.h"
#include "model/executor.h"
#include "registry/registry.h"

namespace tern {
namespace {

constexpr int64_t kTokens = 64, kContext = 128;
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
    wall_ = std::min(wall_, wall.count() * 1e6 / static_cast<double>(steps));
    cpu_ = std::min(cpu_, cpu * 1e6 / static_cast<double>(steps));
  }
  double wall() const { return wall_; }
  double cpu() const { return cpu_; }

 private:
  double wall_ = std::numeric_limits<double>::max(), cpu_ = wall_;
  Clock::time_point wall_start_;
  double cpu_start_ = 0;
};

/// Runs these tokens behind the prompt, one after the other.
void RunRaw(Session& session, std::span<const TokenId> prompt, std::span<const TokenId> ids,
            Meter& meter) {
  const std::vector<BlockId> table = IdentityTable(kContext);
  const SequenceRows rows(prompt, 0, table);
  meter.Start();
  auto logits = session.decoder().Forward(rows.WantingLast(), session.cache());
  for (size_t i = 0; i + 1 < ids.size(); ++i) {
    const SequenceRows row(ids.subspan(i, 1), static_cast<int64_t>(prompt.size() + i), table);
    logits = session.decoder().Forward(row.WantingLast(), session.cache());
    benchmark::DoNotOptimize(logits->data);
  }
  meter.Stop(std::ssize(ids));
}

/// note: to be called with every chunk of the answer.
template <class Generate>
void Compare(benchmark::State& state, const Generate& generate) {
  const auto threads = static_cast<int>(state.range(0));
  auto backend = CreateBackend("auto", {.threads = threads});
  SessionOptions options;
  options.model = kModel;
  options.context = kContext;
  const auto session = Session::Open(std::move(*backend), options);
  const auto model = v1::Model::Load(kModel, {.threads = threads, .context = kContext});
  if (!session || !model) {
    state.SkipWithError("the built-in model can't be loaded");
    return;
  }
  const v1::GenerateOptions greedy{.max_tokens = kTokens, .temperature = 0, .ignore_eos = true};
  const auto prompt = model->TokenizePrompt(kPrompt);
  Meter raw, api;
  for (auto _ : state) {
    std::vector<TokenId> ids;
    api.Start();
    generate(*model, greedy, [&](const v1::Chunk& chunk) {
      ids.insert(ids.end(), chunk.ids.begin(), chunk.ids.end());
      return true;
    });
    api.Stop(std::ssize(ids));
    RunRaw(**session, *prompt, ids, raw);
  }
  state.counters["raw_us"] = raw.wall();
  state.counters["api_us"] = api.wall();
  state.counters["cost_percent"] = (api.wall() / raw.wall() - 1) * 100;
  state.counters["cpu_raw_us"] = raw.cpu();
  state.counters["cpu_api_us"] = api.cpu();
  state.counters["cpu_cost_percent"] = (api.cpu() / raw.cpu() - 1) * 100;
}

void ApiCallback(benchmark::State& state) {
  Compare(state, [](const v1::Model& model, const v1::GenerateOptions& options, const auto& note) {
    benchmark::DoNotOptimize(model.Generate(kPrompt, options, note));
  });
}
BENCHMARK(ApiCallback)->Arg(1)->Iterations(60)->UseRealTime();

void ApiStream(benchmark::State& state) {
  Compare(state, [](const v1::Model& model, const v1::GenerateOptions& options, const auto& note) {
    auto stream = model.Stream(kPrompt, options);
    for (const v1::Chunk& chunk : *stream) note(chunk);
  });
}
BENCHMARK(ApiStream)->Arg(1)->Iterations(60)->UseRealTime();

}  // namespace
}  // namespace tern
