// tern perf check, ab, compare: two sides and a verdict.
#include <algorithm>
#include <filesystem>
#include <memory>

#include "interrupt.h"
#include "perf_commands.h"

namespace tern::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLeastNoisePairs = 6;

const BaselineResult* FindSame(const std::vector<BaselineResult>& results,
                               const BaselineResult& wanted) {
  const auto found = std::find_if(results.begin(), results.end(), [&](const BaselineResult& r) {
    return r.benchmark == wanted.benchmark && r.metric == wanted.metric;
  });
  return found == results.end() ? nullptr : &*found;
}

// Neighbouring rounds of one program: what the order of the measurements alone does.
double NoiseOfRounds(const std::vector<double>& rounds) {
  std::vector<double> first, second;
  for (size_t i = 0; i + 1 < rounds.size(); i += 2) {
    first.push_back(rounds[i]);
    second.push_back(rounds[i + 1]);
  }
  return first.size() < kLeastNoisePairs ? 0 : NoiseBeyondChance(first, second, true);
}

// Whole recordings of one program: what a day does to the machine. Nothing is known from one.
double NoiseOfRuns(const std::vector<std::vector<double>>& runs) {
  double noise = 0;
  for (size_t i = 0; i < runs.size(); ++i)
    for (size_t j = i + 1; j < runs.size(); ++j)
      noise = std::max(noise, NoiseBeyondChance(runs[i], runs[j], false));
  return noise;
}

// Of the runs that were called as the last one was.
std::vector<double> AllValues(const std::vector<BaselineRun>& runs, const BaselineResult& wanted,
                              std::vector<std::vector<double>>* each) {
  std::vector<double> all;
  const BaselineResult* last = FindSame(runs.back().results, wanted);
  if (last == nullptr) return all;
  for (const BaselineRun& run : runs)
    if (const BaselineResult* found = FindSame(run.results, wanted);
        found && found->parameters == last->parameters && run.machine == runs.back().machine) {
      each->push_back(found->Values());
      all.insert(all.end(), each->back().begin(), each->back().end());
    }
  return all;
}

}  // namespace

Result<std::vector<ComparedSeries>> MeasureInTurn(const MeasuredProgram& a,
                                                  const MeasuredProgram& b,
                                                  const MeasureOptions& options) {
  std::vector<BaselineResult> all_a, all_b;
  const auto turn = [&](const MeasuredProgram& program,
                        std::vector<BaselineResult>& all) -> Status {
    TERN_ASSIGN_OR_RETURN(auto results, RunRound(program, options.choice));
    Append(all, std::move(results));
    return {};
  };
  Rounds rounds(options);
  for (;;) {
    TERN_ASSIGN_OR_RETURN(const bool more, rounds.Next());
    if (!more) break;
    // Who goes first changes, so that going first is no advantage.
    const bool a_first = rounds.index() % 2 == 0;
    TERN_TRY(a_first ? turn(a, all_a) : turn(b, all_b));
    TERN_TRY(a_first ? turn(b, all_b) : turn(a, all_a));
  }
  std::vector<ComparedSeries> series;
  for (const BaselineResult& result : all_a) {
    const BaselineResult* other = FindSame(all_b, result);
    if (other == nullptr) continue;
    ComparedSeries s{result.benchmark,
                     result.metric,
                     result.more_is_better,
                     true,
                     result.Values(),
                     other->Values(),
                     0};
    const size_t n = std::min(s.a.size(), s.b.size());
    s.a.resize(n);
    s.b.resize(n);
    s.noise = NoiseOfRounds(s.a);
    series.push_back(std::move(s));
  }
  if (series.empty())
    return Fail(Code::kInvalidArgument, "the two sides have no benchmark in common");
  return series;
}

std::vector<ComparedSeries> UnpairedSeries(const std::vector<BaselineRun>& a,
                                           const std::vector<BaselineRun>& b) {
  std::vector<ComparedSeries> series;
  for (const BaselineResult& result : a.back().results) {
    std::vector<std::vector<double>> runs_a, runs_b;
    ComparedSeries s{result.benchmark,
                     result.metric,
                     result.more_is_better,
                     false,
                     AllValues(a, result, &runs_a),
                     AllValues(b, result, &runs_b),
                     0};
    if (s.b.empty()) continue;
    s.noise = std::max(NoiseOfRuns(runs_a), NoiseOfRuns(runs_b));
    series.push_back(std::move(s));
  }
  return series;
}

namespace {

struct CheckOptions {
  std::string baseline;
  bool stored = false;
  StoreOptions store;
  MeasureOptions measure;
  JudgeOptions judge;
  BudgetOptions budgets;
};

std::vector<Comparison> Judged(const std::vector<ComparedSeries>& series,
                               const CompareOptions& options) {
  RegressionDetector detector(options);
  for (const ComparedSeries& s : series) detector.Add(s);
  return detector.Judge();
}

// A baseline and this program, each as it was measured.
Status CompareWithStored(const std::vector<BaselineRun>& runs, const MeasuredProgram& now,
                         const MeasureOptions& options, PerfReport& report) {
  BaselineRun run;
  run.machine = ReadFingerprint();
  Rounds rounds(options);
  for (;;) {
    TERN_ASSIGN_OR_RETURN(const bool more, rounds.Next());
    if (!more) break;
    TERN_ASSIGN_OR_RETURN(auto results, RunRound(now, options.choice));
    Append(run.results, std::move(results));
  }
  std::vector<ComparedSeries> series = UnpairedSeries(runs, {run});
  if (runs.size() == 1) {
    report.notes.emplace_back(
        "the baseline was recorded once: what this machine does between two recordings is not "
        "known, and half the tolerance is added to every interval");
    for (ComparedSeries& s : series) s.noise = report.options.tolerance / 2;
  }
  report.comparisons = Judged(series, report.options);
  if (!(run.machine == runs.back().machine)) {
    report.notes.push_back(
        fmt::format("the baseline is of another machine ({}): nothing can be said",
                    DescribeMachine(runs.back().machine)));
    for (Comparison& c : report.comparisons) c.verdict = Verdict::kUnknown;
  }
  return {};
}

Result<int> CheckBaseline(const CheckOptions& options) {
  TERN_ASSIGN_OR_RETURN(BaselineStore store, OpenStore(options.store));
  TERN_ASSIGN_OR_RETURN(const auto runs, RunsOf(store, options.baseline));
  const BaselineRun& last = runs.back();
  if (last.results.empty())
    return Fail(Code::kCorrupt, "baseline '{}': its last run has no results", options.baseline);
  MeasuredProgram now, then;
  TERN_TRY(ReadParameters(last.results.front().parameters, now));
  then = now;
  TERN_ASSIGN_OR_RETURN(now.path, ResolveProgram(options.measure.program));
  then.path = last.program;
  MeasureOptions measure = options.measure;
  RowChoice& choice = measure.choice;
  const BaselineResult& first = last.results.front();
  choice.process = first.benchmark == "process";
  choice.metric = first.metric + (first.more_is_better ? ":more" : ":less");
  std::error_code ec;
  const bool kept = !options.stored && last.program.starts_with(KeptFolder(options.store)) &&
                    fs::exists(last.program, ec);
  PerfReport report{.title = fmt::format("check against baseline '{}'", options.baseline),
                    .a = kept ? fmt::format("run {} of {}, commit {}: {}", last.id,
                                            last.recorded_at, last.commit, then.Line())
                              : fmt::format("{} runs, the last of {}, commit {}", runs.size(),
                                            last.recorded_at, last.commit),
                    .b = now.Line(),
                    .machine = DescribeMachine(ReadFingerprint()),
                    .notes = {},
                    .options = {},
                    .comparisons = {}};
  TERN_ASSIGN_OR_RETURN(report.options, ToCompareOptions(options.judge));
  if (kept) {
    TERN_ASSIGN_OR_RETURN(const auto series, MeasureInTurn(then, now, measure));
    // Rows that the baseline left out stay out.
    std::vector<ComparedSeries> wanted;
    for (const ComparedSeries& s : series)
      if (std::any_of(last.results.begin(), last.results.end(), [&](const BaselineResult& r) {
            return r.benchmark == s.name && r.metric == s.metric;
          }))
        wanted.push_back(s);
    report.comparisons = Judged(wanted, report.options);
  } else {
    report.notes.emplace_back(
        "the program of the baseline is not here: its stored samples stand for it, and what the "
        "machine did since then is in the figures");
    TERN_TRY(CompareWithStored(runs, now, measure, report));
  }
  return FinishReport(report, options.judge.output);
}

Result<int> Check(CheckOptions options) {
  if (options.baseline.empty() && options.budgets.file.empty())
    return UsageError("--baseline or --budgets is needed");
  CatchInterrupts(OnSecondInterrupt::kExit);
  int code = kExitOk;
  if (!options.budgets.file.empty()) {
    options.budgets.program = options.measure.program;
    options.budgets.output = options.judge.output;
    TERN_ASSIGN_OR_RETURN(code, CheckBudgets(options.budgets));
  }
  if (options.baseline.empty()) return code;
  TERN_ASSIGN_OR_RETURN(const int second, CheckBaseline(options));
  return code == kExitSlower || second == kExitSlower ? kExitSlower : std::max(code, second);
}

struct AbOptions {
  std::string a, b;
  std::vector<std::string> a_env, b_env, a_args, b_args;
  MeasureOptions measure;
  JudgeOptions judge;
};

Result<int> Ab(const AbOptions& options) {
  if (options.measure.arguments.empty())
    return UsageError("nothing to measure: what the programs are called with comes after --");
  CatchInterrupts(OnSecondInterrupt::kExit);
  const auto side = [&](const std::string& path, const std::vector<std::string>& env,
                        const std::vector<std::string>& args) -> Result<MeasuredProgram> {
    MeasuredProgram program{"", options.measure.arguments, options.measure.env};
    TERN_ASSIGN_OR_RETURN(program.path, ResolveProgram(path));
    program.env.insert(program.env.end(), env.begin(), env.end());
    program.arguments.insert(program.arguments.end(), args.begin(), args.end());
    return program;
  };
  TERN_ASSIGN_OR_RETURN(const MeasuredProgram a, side(options.a, options.a_env, options.a_args));
  TERN_ASSIGN_OR_RETURN(const MeasuredProgram b, side(options.b, options.b_env, options.b_args));
  PerfReport report{.title = "A and B in turn",
                    .a = a.Line(),
                    .b = b.Line(),
                    .machine = DescribeMachine(ReadFingerprint()),
                    .notes = {},
                    .options = {},
                    .comparisons = {}};
  TERN_ASSIGN_OR_RETURN(report.options, ToCompareOptions(options.judge));
  TERN_ASSIGN_OR_RETURN(const auto series, MeasureInTurn(a, b, options.measure));
  report.comparisons = Judged(series, report.options);
  return FinishReport(report, options.judge.output);
}

struct CompareStored {
  std::string a, b;
  StoreOptions store;
  JudgeOptions judge;
};

Result<int> Compare(const CompareStored& options) {
  TERN_ASSIGN_OR_RETURN(BaselineStore store, OpenStore(options.store));
  TERN_ASSIGN_OR_RETURN(const auto a, RunsOf(store, options.a));
  TERN_ASSIGN_OR_RETURN(const auto b, RunsOf(store, options.b));
  PerfReport report{
      .title = fmt::format("baseline '{}' against '{}'", options.b, options.a),
      .a = fmt::format("{}: {} runs, commit {}", options.a, a.size(), a.back().commit),
      .b = fmt::format("{}: {} runs, commit {}", options.b, b.size(), b.back().commit),
      .machine = DescribeMachine(a.back().machine),
      .notes = {},
      .options = {},
      .comparisons = {}};
  TERN_ASSIGN_OR_RETURN(report.options, ToCompareOptions(options.judge));
  report.comparisons = Judged(UnpairedSeries(a, b), report.options);
  if (report.comparisons.empty())
    return Fail(Code::kInvalidArgument, "'{}' and '{}' have no benchmark in common", options.a,
                options.b);
  report.notes.emplace_back(
      "the sides were measured one after the other: what the machine did in "
      "between is in the figures");
  if (!(a.back().machine == b.back().machine))
    report.notes.push_back(
        fmt::format("B is of another machine: {}", DescribeMachine(b.back().machine)));
  return FinishReport(report, options.judge.output);
}

}  // namespace

Action DefinePerfCheck(CLI::App& app) {
  auto options = std::make_shared<CheckOptions>();
  app.add_option("--baseline", options->baseline,
                 "Measured in turn with its kept program; exit code 0: same or faster, 3: slower, "
                 "4: can't tell")
      ->option_text("NAME");
  app.add_option("--program", options->measure.program, "What is checked (default: this program)")
      ->option_text("PROGRAM");
  AddMeasureOptions(app, options->measure, false);
  app.add_flag("--stored", options->stored,
               "Compare with the stored samples, even if the baseline's program is here");
  app.add_option("--budgets", options->budgets.file,
                 "Rows with limits: instructions, allocations, sizes, time, memory, energy")
      ->option_text("FILE");
  app.add_flag("--accept", options->budgets.accept,
               "Write the counts and sizes of now into the budget file")
      ->needs("--budgets");
  AddJudgeOptions(app, options->judge);
  AddStoreOption(app, options->store);
  return [options] { return Check(*options); };
}

Action DefinePerfAb(CLI::App& app) {
  auto options = std::make_shared<AbOptions>();
  const auto list = [&](const char* name, std::vector<std::string>& values, const char* text,
                        const char* help) {
    app.add_option(name, values, help)->option_text(text)->allow_extra_args(false);
  };
  app.add_option("--a", options->a, "The old side (default: this program)")->option_text("PROGRAM");
  app.add_option("--b", options->b, "The new side (default: this program)")->option_text("PROGRAM");
  list("--a-env", options->a_env, "NAME=VALUE", "For A's environment; may be repeated");
  list("--b-env", options->b_env, "NAME=VALUE", "For B's environment");
  list("--a-arg", options->a_args, "TEXT", "One more argument for A; may be repeated");
  list("--b-arg", options->b_args, "TEXT", "One more argument for B");
  AddMeasureOptions(app, options->measure, true);
  AddJudgeOptions(app, options->judge);
  return [options] { return Ab(*options); };
}

Action DefinePerfCompare(CLI::App& app) {
  auto options = std::make_shared<CompareStored>();
  app.add_option("A", options->a, "The old baseline")->required();
  app.add_option("B", options->b, "The new one")->required();
  AddJudgeOptions(app, options->judge);
  AddStoreOption(app, options->store);
  return [options] { return Compare(*options); };
}

}  // namespace tern::cli
