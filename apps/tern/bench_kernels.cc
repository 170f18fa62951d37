// tern bench --kernels
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>

#include "backend/cpu/kernel_problem.h"
#include "bench.h"
#include "command.h"
#include "human.h"
#include "interrupt.h"
#include "perf/statistics.h"
#include "perf/team.h"
#include "platform/machine.h"

namespace tern::cli {
namespace {

using cpu::KernelProblem;
using cpu::TernaryKernel;

constexpr double kRunSeconds = 0.01;      // as short as a limit's, so that both are as undisturbed
constexpr double kStretchSeconds = 5e-5;  // many times what reading the clock takes
constexpr double kMostSeconds = 1;        // for all runs of a kernel that needs long for one
constexpr uint64_t kUnknownCache = uint64_t{32} << 20;
constexpr uint64_t kColdCaches = 4;  // cold weights rotate over so many times the last-level cache
constexpr int64_t kLargest = 1 << 16;

struct Shape {
  int64_t m, n, k;
};

std::optional<Shape> ParseShape(std::string_view text) {
  Shape shape{};
  for (int64_t* size : {&shape.m, &shape.n, &shape.k}) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *size);
    if (error != std::errc() || *size < 1 || *size > kLargest) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (size == &shape.k) break;
    if (!text.starts_with('x')) return std::nullopt;
    text.remove_prefix(1);
  }
  return text.empty() ? std::optional(shape) : std::nullopt;
}

struct Timing {
  double seconds = 0;  // of one product: the best run
  double median = 0;   // the median run
  double p50 = 0;      // the median of many stretches, each too short to be interrupted often
};

// Each thread computes its own tiles over and over, so that a run counts no thread's start.
Timing Time(const TernaryKernel& kernel, const KernelProblem& problem, int threads, int runs) {
  using Clock = std::chrono::steady_clock;
  std::vector<float> y(static_cast<size_t>(problem.m() * problem.n()));
  std::vector<std::vector<double>> stretches(static_cast<size_t>(threads));
  int64_t stretch = 1;
  const auto body = [&](int thread, int64_t rounds) {
    const int64_t begin = problem.tiles() * thread / threads;
    const int64_t end = problem.tiles() * (thread + 1) / threads;
    auto before = Clock::now();
    for (int64_t round = 0; round < rounds; ++round) {
      problem.Run(kernel, round % problem.copies(), begin, end, y.data());
      if ((round + 1) % stretch != 0) continue;
      const auto now = Clock::now();
      stretches[static_cast<size_t>(thread)].push_back(
          std::chrono::duration<double>(now - before).count() / static_cast<double>(stretch));
      before = now;
    }
  };
  const auto run = [&](int64_t rounds) {
    return RunTogether(threads, [&](int thread) { body(thread, rounds); });
  };
  // Counted in CPU time, because a run may have been interrupted for long.
  const double first = std::max(run(problem.copies()).cpu_seconds, 1e-6);
  const double products = static_cast<double>(problem.copies()) / first;  // a second
  const auto rounds = std::max<int64_t>(1, std::llround(kRunSeconds * products));
  stretch = std::clamp<int64_t>(std::llround(kStretchSeconds * products), 1, rounds);
  for (auto& times : stretches) times.clear();
  std::vector<double> seconds;
  double spent = 0;
  for (int i = 0; i < runs && spent < kMostSeconds; ++i) {
    const double took = run(rounds).seconds;
    seconds.push_back(took / static_cast<double>(rounds));
    spent += took;
  }
  const Spread spread = SpreadOf(seconds);
  double p50 = 0;  // a product is done when the slowest thread is
  for (const auto& times : stretches) p50 = std::max(p50, Median(times));
  return {spread.min, spread.median, p50};
}

class KernelBench {
 public:
  explicit KernelBench(const BenchOptions& options)
      : options_(options), threads_(options.threads.empty() ? 1 : options.threads.front()) {}

  Result<int> Run() {
    std::vector<Shape> shapes;
    for (const std::string& text : options_.shapes) {
      const auto shape = ParseShape(text);
      if (!shape)
        return UsageError("--shape: found '{}', expected MxNxK with sizes of 1 to {}", text,
                          kLargest);
      shapes.push_back(*shape);
    }
    if (shapes.empty())
      for (const int64_t m : {1, 2, 4, 8, 16, 32, 64, 128, 512}) shapes.push_back({m, 2560, 2560});
    const auto kernels = cpu::AllKernels();
    if (std::none_of(kernels.begin(), kernels.end(), [&](const auto& k) { return Wanted(k); }))
      return UsageError("--isa: this CPU has no kernel for '{}' (tern info --kernels)",
                        options_.isa);
    TERN_ASSIGN_OR_RETURN(const std::vector<Target> targets, ReadTargets(options_));
    CatchInterrupts(OnSecondInterrupt::kExit);
    MeasureThisMachine();
    PrintHead();
    for (const Shape& shape : shapes) TERN_TRY(RunShape(shape));
    PrintRecords(records_, options_, "tern_kernels");
    return Verdict(records_, targets);
  }

 private:
  bool Wanted(const TernaryKernel& kernel) const {
    return (kernel.needs & DetectCpu()) == kernel.needs &&
           (options_.isa.empty() || kernel.isa == options_.isa);
  }

  void MeasureThisMachine() {
    if (options_.skip_limits) return;
    PrintNote("measuring the limits of the machine (--no-limits skips this)");
    const LimitOptions limits{.threads = threads_, .one_thread = false};
    if (options_.cold) limits_.push_back(MeasureDramRead(limits));
    for (Limit& peak : MeasureIntPeaks(limits)) limits_.push_back(std::move(peak));
    for (const Limit& limit : limits_) NoteIfDisturbed(limit);
  }

  double LimitOf(std::string_view name) const {
    const auto found = std::find_if(limits_.begin(), limits_.end(),
                                    [name](const Limit& limit) { return limit.name == name; });
    return found == limits_.end() ? std::numeric_limits<double>::quiet_NaN() : found->all;
  }

  void PrintHead() const {
    if (options_.output != "md") return;
    fmt::print(
        "| kernel | M x N x K | threads | weights | us | GB/s{} | TOPS (of peak) | x scalar |\n"
        "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: |\n",
        options_.cold ? " (of stream)" : "");
  }

  Status RunShape(const Shape& shape) {
    const uint64_t one = static_cast<uint64_t>(shape.n) * static_cast<uint64_t>(shape.k) / 4 + 1;
    const uint64_t l3 = std::max(DetectCaches().l3, kUnknownCache);
    const auto copies = options_.cold ? static_cast<int64_t>(kColdCaches * l3 / one + 1) : 1;
    TERN_ASSIGN_OR_RETURN(const KernelProblem problem,
                          KernelProblem::Create(shape.m, shape.n, shape.k, copies));
    const TernaryKernel& scalar = cpu::AllKernels().back();
    const std::vector<float> expected = problem.Output(scalar);
    double scalar_seconds = std::numeric_limits<double>::quiet_NaN();
    // Scalar first: the others are compared with it.
    const auto kernels = cpu::AllKernels();
    for (auto kernel = kernels.rbegin(); kernel != kernels.rend(); ++kernel) {
      if (!Wanted(*kernel)) continue;
      if (Interrupted()) return Fail(Code::kCancelled, "stopped");
      if (kernel->run != scalar.run && problem.Output(*kernel) != expected)
        return Fail(Code::kInternal, "{} {}x{}x{}: the result differs from the scalar kernel's",
                    kernel->name, shape.m, shape.n, shape.k);
      const Timing timing = Time(*kernel, problem, threads_, 4 * options_.repetitions);
      if (kernel->run == scalar.run) scalar_seconds = timing.seconds;
      Add(*kernel, problem, timing, scalar_seconds / timing.seconds);
    }
    return {};
  }

  void Add(const TernaryKernel& kernel, const KernelProblem& problem, const Timing& timing,
           double speedup) {
    const double gb_s = 1e-9 * static_cast<double>(problem.weight_bytes()) / timing.seconds;
    const double tops = 1e-12 * problem.ops() / timing.seconds;
    const double stream = LimitOf(kDramRead), peak = LimitOf(IntLimitName(kernel.isa));
    const std::string shape = fmt::format("{}x{}x{}", problem.m(), problem.n(), problem.k());
    const std::string_view weights = options_.cold ? "cold" : "in cache";
    records_.push_back({fmt::format("{} {}", kernel.name, shape),
                        1 / timing.seconds,
                        {{"test", fmt::format("{} {}", kernel.name, shape)},
                         {"kernel", std::string(kernel.name)},
                         {"isa", std::string(kernel.isa)},
                         {"m", problem.m()},
                         {"n", problem.n()},
                         {"k", problem.k()},
                         {"n_threads", int64_t{threads_}},
                         {"weights", std::string(weights)},
                         {"weight_bytes", static_cast<int64_t>(problem.weight_bytes())},
                         {"best_us", timing.seconds * 1e6},
                         {"median_us", timing.median * 1e6},
                         {"p50_us", timing.p50 * 1e6},
                         {"gb_s", gb_s},
                         {"limit_gb_s", stream},
                         {"tops", tops},
                         {"limit_tops", peak},
                         {"percent_of_peak", 100 * tops / peak},
                         {"speedup", speedup},
                         {"verified", int64_t{1}}}});
    if (options_.output != "md") return;
    const auto share = [](double value, double limit) {
      return std::isnan(limit) ? "" : fmt::format(" ({:.0f}%)", 100 * value / limit);
    };
    fmt::print("| {} | {} | {} | {}, {} | {:.1f} | {:.2f}{} | {:.3f}{} | {} |\n", kernel.name,
               shape, threads_, HumanBytes(problem.weight_bytes()), weights, timing.seconds * 1e6,
               gb_s, share(gb_s, stream), tops, share(tops, peak),
               std::isnan(speedup) ? "" : fmt::format("{:.1f}", speedup));
    std::fflush(stdout);
  }

  const BenchOptions& options_;
  const int threads_;
  std::vector<Limit> limits_;
  std::vector<Record> records_;
};

}  // namespace

Result<int> BenchKernels(const BenchOptions& options) { return KernelBench(options).Run(); }

}  // namespace tern::cli
