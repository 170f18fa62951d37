// What it costs to record a value: alone, and while other threads record into the same histogram.
#include "perf/histogram.h"

#include <benchmark/benchmark.h>

#include <array>
#include <cmath>
#include <random>

namespace tern {
namespace {

// Times of decoding: the buckets are some hundreds, as in use.
std::array<double, 1024> Values() {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> draw(-6, 0.3);
  std::array<double, 1024> values;
  for (double& value : values) value = draw(random);
  return values;
}

void HistogramRecord(benchmark::State& state) {
  static Histogram histogram;
  const auto values = Values();
  size_t i = 0;
  for (auto _ : state) histogram.Record(values[i++ % values.size()]);
}
BENCHMARK(HistogramRecord)->Threads(1)->Threads(2);

void HistogramSnapshotTaken(benchmark::State& state) {
  Histogram histogram;
  for (const double value : Values()) histogram.Record(value);
  for (auto _ : state) benchmark::DoNotOptimize(histogram.Snapshot().Percentile(99));
}
BENCHMARK(HistogramSnapshotTaken);

}  // namespace
}  // namespace tern
