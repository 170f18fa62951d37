// What a parallel region costs when there is nothing to do in it: a decoded token of a model with
// 30 layers has 270 of them. "after_pause" leaves the workers alone for longer than they spin.
#include "platform/thread_pool.h"

#include <benchmark/benchmark.h>

#include <chrono>
#include <thread>

namespace tern {
namespace {

void EmptyRegion(benchmark::State& state) {
  ThreadPool pool(static_cast<int>(state.range(0)));
  const auto parts = static_cast<size_t>(pool.threads());
  for (auto _ : state)
    pool.ParallelFor(parts, 1, [](size_t begin, size_t) { benchmark::DoNotOptimize(begin); });
}
BENCHMARK(EmptyRegion)->Arg(1)->Arg(2)->Arg(4)->UseRealTime();

void EmptyRegionAfterPause(benchmark::State& state) {
  ThreadPool pool(static_cast<int>(state.range(0)));
  const auto parts = static_cast<size_t>(pool.threads());
  for (auto _ : state) {
    state.PauseTiming();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    state.ResumeTiming();
    pool.ParallelFor(parts, 1, [](size_t begin, size_t) { benchmark::DoNotOptimize(begin); });
  }
}
BENCHMARK(EmptyRegionAfterPause)->Arg(2)->UseRealTime()->Iterations(500);

// 50 us of work for each thread, as a linear layer has: what a region costs where others compute
// too.
void SmallWork(benchmark::State& state) {
  ThreadPool pool(static_cast<int>(state.range(0)));
  const auto parts = static_cast<size_t>(pool.threads());
  for (auto _ : state)
    pool.ParallelFor(parts, 1, [](size_t begin, size_t) {
      for (size_t i = 0; i < 50000; ++i) benchmark::DoNotOptimize(begin += i);
    });
}
BENCHMARK(SmallWork)->Arg(1)->Arg(2)->UseRealTime()->Iterations(3000);

// Two callers at once, as two engines in one process are.
void TwoCallers(benchmark::State& state) {
  ThreadPool pool(static_cast<int>(state.range(0)));
  const auto parts = static_cast<size_t>(pool.threads());
  for (auto _ : state)
    pool.ParallelFor(parts, 1, [](size_t begin, size_t) { benchmark::DoNotOptimize(begin); });
}
BENCHMARK(TwoCallers)->Arg(2)->Threads(2)->UseRealTime();

}  // namespace
}  // namespace tern
