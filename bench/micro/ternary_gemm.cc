// Every ternary kernel that this CPU can run, on random weights and activations; the result is
// checked before it is timed. GB/s counts packed weights; ops are multiply-adds, counted twice.
#include <benchmark/benchmark.h>

#include <vector>

#include "backend/cpu/kernel_problem.h"

namespace tern::cpu {
namespace {

constexpr int64_t kRows = 2560, kCols = 2560;

void Gemm(benchmark::State& state, const TernaryKernel* kernel) {
  const KernelProblem problem = KernelProblem::Create(state.range(0), kRows, kCols, 1).value();
  if (problem.Output(*kernel) != problem.Output(AllKernels().back())) {
    state.SkipWithError("the result differs from the scalar kernel's");
    return;
  }
  std::vector<float> y(static_cast<size_t>(problem.m() * kRows));
  for (auto _ : state) {
    problem.Run(*kernel, 0, 0, problem.tiles(), y.data());
    benchmark::DoNotOptimize(y.data());
  }
  const auto rounds = static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(
      rounds * static_cast<double>(problem.weight_bytes()) * 1e-9, benchmark::Counter::kIsRate);
  state.counters["GOPS"] =
      benchmark::Counter(rounds * 1e-9 * problem.ops(), benchmark::Counter::kIsRate);
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
