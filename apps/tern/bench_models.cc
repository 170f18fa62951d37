// tern bench -m ...: tests of models, in llama-bench's names and table.
#include <algorithm>
#include <cstdio>
#include <map>

#include "backend/cpu/kernel_list.h"
#include "bench.h"
#include "bench_report.h"
#include "command.h"
#include "engine/benchmark.h"
#include "interrupt.h"

namespace tern::cli {
namespace {

constexpr int64_t kProfiledTokens = 32;  // that are decoded for the page's roofline

// All tests at one depth, then those of the next, as llama-bench orders them; then what only a page
// wants.
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
  const int64_t generate = options.generates.front();
  if (generate == 0) return tests;
  for (const int64_t sequences : options.more_sequences)
    tests.push_back({.generate = generate, .depth = options.depths[0], .sequences = sequences});
  for (const int64_t depth : options.more_depths)
    tests.push_back({.generate = generate, .depth = depth, .sequences = options.sequences[0]});
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
    std::optional<OutputFolder> folder;
    if (!options_.report.empty()) {  // what can't be written shouldn't be measured first
      TERN_ASSIGN_OR_RETURN(folder, OutputFolder::Open(options_.report));
      TERN_ASSIGN_OR_RETURN(page_.history, ReadHistory(options_.history));
    }
    CatchInterrupts(OnSecondInterrupt::kExit);
    if (options_.output == "md") fmt::print("{}", BenchmarkTableHead());
    for (const std::string& model :
         options_.models.empty() ? std::vector<std::string>{""} : options_.models)
      TERN_TRY(RunModel(model));
    if (options_.output == "md") PrintGpuLines(records_);
    PrintRecords(records_, options_, "tern_bench");
    if (folder) TERN_TRY(WriteReport(*folder, std::move(page_)));
    return Verdict(records_, targets);
  }

 private:
  Status RunModel(const std::string& model) {
    for (const int threads : options_.more_threads) TERN_TRY(RunThreads(model, threads, true));
    for (const int threads : options_.threads.empty() ? std::vector<int>{0} : options_.threads)
      TERN_TRY(RunThreads(model, threads, false));
    return {};
  }

  // few: tests of one sequence at the first depth.
  Status RunThreads(const std::string& model, int threads, bool few) {
    OpRecorder recorder;
    ModelOptions model_options = options_.model;
    model_options.model = model;
    model_options.threads = threads;
    const int64_t sequences = Largest(tests_, [](const auto& test) { return test.sequences; });
    TERN_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session,
                          OpenSession(model_options, NeedsOf(sequences, recorder)));
    TERN_ASSIGN_OR_RETURN(const BenchmarkLimits limits, LimitsOf(*session));
    const BenchmarkSubject subject = SubjectOf(*session, limits);
    TERN_ASSIGN_OR_RETURN(const std::unique_ptr<GpuSampler> gpu,
                          WatchGpu(options_, session->backend()));
    for (const BenchmarkTest& test : tests_) {
      if (few && (test.sequences > 1 || test.depth != options_.depths[0])) continue;
      TERN_ASSIGN_OR_RETURN(
          const BenchmarkRow row,
          RunBenchmark(*session, test, subject,
                       {.repetitions = options_.repetitions, .gpu = gpu.get()},
                       [&](int repetition) { return Announce(test, repetition); }));
      if (options_.output == "md") fmt::print("{}", BenchmarkTableLine(row));
      std::fflush(stdout);
      records_.push_back(row.ToRecord());
      page_.rows.push_back(row);
    }
    return options_.report.empty() || few ? Status() : TakeApart(*session, recorder, subject);
  }

  // For the page's roofline.
  Status TakeApart(Session& session, OpRecorder& recorder, const BenchmarkSubject& subject) {
    const ProfileOptions run{.prompt = options_.prompts[0],
                             .generate = std::min(options_.generates[0], kProfiledTokens),
                             .depth = options_.depths[0],
                             .sequences = options_.sequences[0],
                             .repetitions = 1};
    if (run.prompt + run.generate == 0) return {};
    ProfileLimits limits;
    if (!options_.skip_limits && ComputesOnCpus(session.backend()))
      limits = MeasureProfileLimits(session, run);
    TERN_ASSIGN_OR_RETURN(Profile profile, RunProfile(session, recorder, subject, limits, run,
                                                      [](const std::string& what) {
                                                        PrintNote(what);
                                                        return !Interrupted();
                                                      }));
    page_.profiles.push_back(std::move(profile));
    return {};
  }

  SessionNeeds NeedsOf(int64_t sequences, OpRecorder& recorder) const {
    return {
        .tokenizer = false,
        // A pass takes no more rows than the context has positions.
        .context = Largest(
            tests_, [](const auto& test) { return std::max(test.positions(), test.sequences); }),
        .logit_rows = sequences,
        .observer = options_.report.empty() ? nullptr : &recorder};
  }

  // Measured once for a device, or a number of threads.
  Result<BenchmarkLimits> LimitsOf(Session& session) {
    if (options_.skip_limits) return BenchmarkLimits{};
    Backend& backend = session.backend();
    const auto key = std::pair(std::string(backend.name()), backend.threads());
    if (const auto known = limits_.find(key); known != limits_.end()) return known->second;
    TERN_ASSIGN_OR_RETURN(const auto device, backend.MeasureLimits());
    if (device) return limits_[key] = {device->stream_gb_s, device->int8_tops, device->peak_name};
    std::string isa;
    if (session.backend().name() == "cpu") {
      const CpuFeatures features = DetectCpu();
      TERN_ASSIGN_OR_RETURN(const std::string forced, cpu::ForcedIsa(features));
      constexpr int64_t kPrefillRows = 512;
      isa = std::string(cpu::PickKernel(kPrefillRows, features, forced).isa);
    }
    const QuickLimits quick = MeasureQuickLimits(backend.threads(), isa);
    return limits_[key] = {quick.stream_gb_s, quick.peak_tops, isa};
  }

  bool Announce(const BenchmarkTest& test, int repetition) const {
    if (repetition > options_.repetitions) return !Interrupted();
    PrintNote(repetition == 0 ? fmt::format("{}: warm-up", test.Name())
                              : fmt::format("{}: repetition {}", test.Name(), repetition));
    return !Interrupted();
  }

  const BenchOptions& options_;
  const std::vector<BenchmarkTest> tests_;
  std::map<std::pair<std::string, int>, BenchmarkLimits> limits_;  // by backend and threads
  std::vector<Record> records_;
  BenchPage page_;
};

}  // namespace

Result<int> BenchModels(const BenchOptions& options) { return ModelBench(options).Run(); }

}  // namespace tern::cli
