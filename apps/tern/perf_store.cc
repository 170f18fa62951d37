// tern perf list, show, export, import: what lies in the file.
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>

#include "perf/statistics.h"
#include "perf_commands.h"

namespace tern::cli {
namespace {

Result<int> List(const StoreOptions& options) {
  TERN_ASSIGN_OR_RETURN(BaselineStore store, OpenStore(options));
  TERN_ASSIGN_OR_RETURN(const auto runs, store.Runs("", false));
  struct Row {
    int runs = 0;
    const BaselineRun* last = nullptr;
  };
  std::map<std::string, Row> baselines;
  for (const BaselineRun& run : runs) {
    Row& row = baselines[run.name];
    ++row.runs;
    row.last = &run;
  }
  if (baselines.empty())
    PrintNote("no baseline yet: tern perf record makes one");
  else
    fmt::print(
        "| baseline | runs | last recorded | commit | machine |\n| --- | ---: | --- | --- | --- "
        "|\n");
  for (const auto& [name, row] : baselines)
    fmt::print("| {} | {} | {} | {} | {} |\n", name, row.runs, row.last->recorded_at,
               row.last->commit, DescribeMachine(row.last->machine));
  return kExitOk;
}

void PrintRun(const BaselineRun& run) {
  fmt::print("run {}: {}, commit {}\n", run.id, run.recorded_at,
             run.commit.empty() ? "not known" : run.commit);
  fmt::print("  machine   {} ({})\n", DescribeMachine(run.machine), run.machine.features);
  fmt::print("  program   {}\n", run.program);
  fmt::print("  build     {} {} {}\n", run.build.version, run.build.compiler, run.build.flags);
  for (const Limit& limit : run.limits)
    fmt::print("  limit     {}: {:.4g} {}\n", limit.name, limit.all, limit.unit);
  for (const BaselineResult& result : run.results) {
    const std::vector<double> values = result.Values();
    const Spread spread = SpreadOf(values);
    fmt::print("  {}: {} {:.6g} ({:.6g} .. {:.6g}), {} rounds: {}\n", result.benchmark,
               result.metric, spread.median, spread.min, spread.max, values.size(),
               result.parameters);
  }
}

struct NameOptions {
  std::string name;
  StoreOptions store;
};

Result<int> Show(const NameOptions& options) {
  TERN_ASSIGN_OR_RETURN(BaselineStore store, OpenStore(options.store));
  TERN_ASSIGN_OR_RETURN(const auto runs, RunsOf(store, options.name));
  for (const BaselineRun& run : runs) PrintRun(run);
  return kExitOk;
}

Result<int> Export(const NameOptions& options) {
  TERN_ASSIGN_OR_RETURN(BaselineStore store, OpenStore(options.store));
  TERN_ASSIGN_OR_RETURN(const auto runs,
                        options.name.empty() ? store.Runs("") : RunsOf(store, options.name));
  fmt::print("{}", ExportRuns(runs));
  return kExitOk;
}

Result<int> Import(const NameOptions& options) {
  std::ifstream file(options.name, std::ios::binary);
  if (!file)
    return Fail(Code::kNotFound, "{}: can't be opened: {}", options.name, std::strerror(errno));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  TERN_ASSIGN_OR_RETURN(const auto runs, ImportRuns(text, options.name));
  TERN_ASSIGN_OR_RETURN(BaselineStore store, OpenStore(options.store));
  int added = 0;
  for (const BaselineRun& run : runs) {
    TERN_ASSIGN_OR_RETURN(const int64_t id, store.Add(run));
    added += id != 0;
  }
  fmt::print("{} of {} runs imported, the others were there already\n", added, runs.size());
  return kExitOk;
}

template <class Run>
Action DefineNamed(CLI::App& app, const char* what, const char* help, bool required, Run run) {
  auto options = std::make_shared<NameOptions>();
  app.add_option(what, options->name, help)->required(required);
  AddStoreOption(app, options->store);
  return [options, run] { return run(*options); };
}

}  // namespace

Action DefinePerfList(CLI::App& app) {
  auto options = std::make_shared<StoreOptions>();
  AddStoreOption(app, *options);
  return [options] { return List(*options); };
}

Action DefinePerfShow(CLI::App& app) {
  return DefineNamed(app, "NAME", "The baseline", true, Show);
}

Action DefinePerfExport(CLI::App& app) {
  return DefineNamed(app, "NAME", "The baseline (default: all of them)", false, Export);
}

Action DefinePerfImport(CLI::App& app) {
  return DefineNamed(app, "FILE", "What tern perf export wrote", true, Import);
}

}  // namespace tern::cli
