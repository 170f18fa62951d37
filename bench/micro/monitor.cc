// What monitoring costs: a pass and a token recorded, and decoding of the built-in model with the
// monitor beside without it, in turns in one process. The ratio is the median over pairs of rounds
// with its bootstrap interval; "same" is off beside off, which says what the machine does to it.
#include "perf/monitor.h"

#include <benchmark/benchmark.h>

#include <chrono>
#include <ctime>
#include <vector>

#include "engine/engine.h"
#include "perf/compare.h"
#include "registry/registry.h"

namespace tern {
namespace {

void MonitorRecordPass(benchmark::State& state) {
  PerformanceMonitor monitor;
  ForwardPass pass{.end = 0, .seconds = 0.001, .decode_rows = 4, .sequences = 4, .positions = 800};
  for (auto _ : state) {
    pass.end += 0.001;
    pass.positions = pass.positions % 4096 + 4;
    monitor.RecordPass(pass);
    monitor.RecordBetweenTokens(0.001);
  }
}
BENCHMARK(MonitorRecordPass);

void MonitorRender(benchmark::State& state) {
  PerformanceMonitor monitor;
  for (int i = 1; i <= 10000; ++i) {
    monitor.RecordFirstToken(i * 1e-4);
    monitor.RecordBetweenTokens(i * 1e-6);
    monitor.RecordPass({.end = i * 0.01, .seconds = i * 1e-6, .decode_rows = 1, .sequences = 1});
  }
  for (auto _ : state) {
    PrometheusText out;
    monitor.Render(out);
    benchmark::DoNotOptimize(out.Take());
  }
}
BENCHMARK(MonitorRender);

constexpr int64_t kTokens = 200;

double ProcessSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

std::unique_ptr<Engine> OpenEngine(bool monitor) {
  auto backend = CreateBackend("auto", {.threads = 1});
  EngineOptions options;
  options.session.model = TERN_SOURCE_DIR "/models/tern-stories.gguf";
  options.session.context = 256;
  options.max_sequences = 2;
  options.prefix_cache = false;
  options.monitor = monitor;
  auto engine = Engine::Create(std::move(*backend), options);
  return engine ? std::move(*engine) : nullptr;
}

// CPU seconds of the process for an answer; 0 when it failed.
double Answer(Engine& engine) {
  Request request;
  request.prompt = engine.tokenizer().Encode("Once upon a time", {.add_bos = true});
  request.options.max_tokens = kTokens;
  request.options.ignore_eos = true;
  request.options.sampling.temperature = 0;
  const double start = ProcessSeconds();
  auto handle = engine.Submit(std::move(request));
  if (!handle) return 0;
  while (const auto event = handle->Next())
    if (event->error) return 0;
  return ProcessSeconds() - start;
}

void MonitorOnDecode(benchmark::State& state) {
  const auto off = OpenEngine(false), same = OpenEngine(false), on = OpenEngine(true);
  if (!off || !same || !on) {
    state.SkipWithError("the built-in model can't be loaded");
    return;
  }
  Engine* const engines[] = {off.get(), same.get(), on.get()};
  std::vector<double> seconds[3];
  size_t first = 0;
  for (auto _ : state) {
    // Each goes first as often as the others.
    for (size_t i = 0; i < 3; ++i) {
      const size_t which = (first + i) % 3;
      seconds[which].push_back(Answer(*engines[which]));
    }
    ++first;
  }
  const RatioInterval control = MedianOfRatios(seconds[0], seconds[1]);
  const RatioInterval cost = MedianOfRatios(seconds[0], seconds[2]);
  state.counters["same_low%"] = (control.low - 1) * 100;
  state.counters["same%"] = (control.ratio - 1) * 100;
  state.counters["same_high%"] = (control.high - 1) * 100;
  state.counters["cost_low%"] = (cost.low - 1) * 100;
  state.counters["cost%"] = (cost.ratio - 1) * 100;
  state.counters["cost_high%"] = (cost.high - 1) * 100;
}
BENCHMARK(MonitorOnDecode)->Iterations(150)->UseRealTime();

}  // namespace
}  // namespace tern
