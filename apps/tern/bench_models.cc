// tern bench -m ...: tests of models, in llama-bench's names and table.
#include <algorithm>
#include <cstdio>
#include <map>

#include "backend/cpu/kernel_list.h"
#include "bench.h"
#include "command.h"
#include "engine/benchmark.h"
#include "interrupt.h"

namespace tern::cli {
namespace {

// All tests at one depth, then those of the next, as llama-bench orders them.
std::vector<BenchmarkTest> TestsOf(const BenchOptions& options) {
  std::vector<BenchmarkTest> tests;
  for (const int64_t depth : options.depths) {
    for (const int64_t prompt : options.prompts)
      if (prompt > 0) tests.push_back({.prompt = prompt, .depth = depth});
    for (const int64_t generate : options.generates)
      for (const int64_t sequences : options.sequences)
        if (generate > 0)
          tests.push_back({.generate = generate, .depth = depth, .sequences = sequences});
  }
  return tests;
}

template <class Number>
int64_t Largest(const std::vector<BenchmarkTest>& tests, Number number) {
  int64_t largest = 0;
  for (const BenchmarkTest& test : tests) largest = std::max(largest, number(test));
  return largest;
}

class ModelBench {
 public:
  explicit ModelBench(const BenchOptions& options) : options_(options), tests_(TestsOf(options)) {}

  Result<int> Run() {
    if (tests_.empty()) return UsageError("-p and -n are all 0: nothing to measure");
    TERN_ASSIGN_OR_RETURN(const std::vector<Target> targets, ReadTargets(options_));
    CatchInterrupts(OnSecondInterrupt::kExit);
    if (options_.output == "md") fmt::print("{}", BenchmarkTableHead());
    for (const std::string& model :
         options_.models.empty() ? std::vector<std::string>{""} : options_.models)
      for (const int threads : options_.threads.empty() ? std::vector<int>{0} : options_.threads)
        TERN_TRY(RunModel(model, threads));
    PrintRecords(records_, options_, "tern_bench");
    return Verdict(records_, targets);
  }

 private:
  Status RunModel(const std::string& model, int threads) {
    ModelOptions model_options = options_.model;
    model_options.model = model;
    model_options.threads = threads;
    const int64_t sequences = Largest(tests_, [](const auto& test) { return test.sequences; });
    TERN_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session,
                          OpenSession(model_options, NeedsOf(sequences)));
    TERN_ASSIGN_OR_RETURN(const BenchmarkLimits limits, LimitsOf(*session));
    const BenchmarkSubject subject = SubjectOf(*session, limits);
    for (const BenchmarkTest& test : tests_) {
      TERN_ASSIGN_OR_RETURN(
          const BenchmarkRow row,
          RunBenchmark(*session, test, subject, {.repetitions = options_.repetitions},
                       [&](int repetition) { return Announce(test, repetition); }));
      if (options_.output == "md") fmt::print("{}", BenchmarkTableLine(row));
      std::fflush(stdout);
      records_.push_back(row.ToRecord());
    }
    return {};
  }

  SessionNeeds NeedsOf(int64_t sequences) const {
    return {
        .tokenizer = false,
        // A pass takes no more rows than the context has positions.
        .context = Largest(
            tests_, [](const auto& test) { return std::max(test.positions(), test.sequences); }),
        .max_rows = std::max<int64_t>(512, sequences),
        .logit_rows = sequences};
  }

  // Measured once for a number of threads.
  Result<BenchmarkLimits> LimitsOf(Session& session) {
    if (options_.skip_limits) return BenchmarkLimits{};
    std::string isa;
    if (session.backend().name() == "cpu") {
      const CpuFeatures features = DetectCpu();
      TERN_ASSIGN_OR_RETURN(const std::string forced, cpu::ForcedIsa(features));
      constexpr int64_t kPrefillRows = 512;
      isa = std::string(cpu::PickKernel(kPrefillRows, features, forced).isa);
    }
    const int threads = session.backend().threads();
    const auto known = limits_.find(threads);
    if (known != limits_.end()) return known->second;
    const QuickLimits quick = MeasureQuickLimits(threads, isa);
    return limits_[threads] = {quick.stream_gb_s, quick.peak_tops, isa};
  }

  static bool Announce(const BenchmarkTest& test, int repetition) {
    PrintNote(repetition == 0 ? fmt::format("{}: warm-up", test.Name())
                              : fmt::format("{}: repetition {}", test.Name(), repetition));
    return !Interrupted();
  }

  const BenchOptions& options_;
  const std::vector<BenchmarkTest> tests_;
  std::map<int, BenchmarkLimits> limits_;  // by threads
  std::vector<Record> records_;
};

}  // namespace

Result<int> BenchModels(const BenchOptions& options) { return ModelBench(options).Run(); }

}  // namespace tern::cli
