// Every ternary kernel that this CPU can run, on random weights and activations; the result is
// checked before it is timed. GB/s counts packed weights; ops are multiply-adds, counted twice.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "backend/cpu/kernel_list.h"
#include "backend/cpu/pack.h"
#include "base/rng.h"

namespace tern::cpu {
namespace {

constexpr int64_t kRows = 2560, kCols = 2560;

struct Problem {
  explicit Problem(int64_t rows)
      : m(rows), x(static_cast<size_t>(rows * kCols)), step(static_cast<size_t>(rows), 0.01f) {
    Rng rng(1);
    std::vector<int8_t> q(kRows * kCols);
    for (int8_t& v : q) v = static_cast<int8_t>(static_cast<int>(rng.Next() % 3) - 1);
    packed =
        PackN16k4(TernaryMatrix::FromValues(kRows, kCols, q, ScaleSpec::Tensor(1)).value()).value();
    for (int8_t& v : x) v = static_cast<int8_t>(rng.Next());
    for (int64_t r = 0; r < m; ++r) {
      int32_t sum = 0;
      for (int64_t c = 0; c < kCols; ++c) sum += x[static_cast<size_t>(r * kCols + c)];
      sums.push_back(sum);
    }
  }

  std::vector<float> Run(const TernaryKernel& kernel) const {
    std::vector<float> y(static_cast<size_t>(m * kRows));
    RunInto(kernel, y.data());
    return y;
  }

  void RunInto(const TernaryKernel& kernel, float* y) const {
    kernel.run({.codes = packed.codes.data(),
                .scales = packed.scales.data(),
                .x = x.data(),
                .step = step.data(),
                .sums = sums.data(),
                .y = y,
                .x_stride = kCols,
                .y_stride = kRows,
                .m = m,
                .n = kRows,
                .steps = packed.steps,
                .groups = 1,
                .tile_begin = 0,
                .tile_end = packed.tiles(),
                .add = false});
  }

  int64_t m;
  PackedMatrix packed;
  std::vector<int8_t> x;
  std::vector<float> step;
  std::vector<int32_t> sums;
};

void Gemm(benchmark::State& state, const TernaryKernel* kernel) {
  const Problem problem(state.range(0));
  if (problem.Run(*kernel) != problem.Run(AllKernels().back())) {
    state.SkipWithError("the result differs from the scalar kernel's");
    return;
  }
  std::vector<float> y(static_cast<size_t>(problem.m * kRows));
  for (auto _ : state) {
    problem.RunInto(*kernel, y.data());
    benchmark::DoNotOptimize(y.data());
  }
  const auto rounds = static_cast<double>(state.iterations());
  state.counters["GB/s"] =
      benchmark::Counter(rounds * static_cast<double>(problem.packed.codes.size()) * 1e-9,
                         benchmark::Counter::kIsRate);
  state.counters["GOPS"] = benchmark::Counter(
      rounds * 2e-9 * static_cast<double>(problem.m * kRows * kCols), benchmark::Counter::kIsRate);
}

const bool kRegistered = [] {
  for (const TernaryKernel& kernel : AllKernels()) {
    if ((kernel.needs & DetectCpu()) != kernel.needs) continue;
    auto* bench = benchmark::RegisterBenchmark(std::string(kernel.name).c_str(), Gemm, &kernel);
    for (const int rows : {1, 4, 16, 64}) bench->Arg(rows);
  }
  return true;
}();

}  // namespace
}  // namespace tern::cpu
