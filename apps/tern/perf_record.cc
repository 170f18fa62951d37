// tern perf record, machine: what is measured, and on what.
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "backend/cpu/kernel_list.h"
#include "bench.h"
#include "formats/digest.h"
#include "interrupt.h"
#include "perf/statistics.h"
#include "perf_commands.h"
#include "platform/mapped_file.h"

namespace tern::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string name, commit;
  bool no_keep = false, no_limits = false;
  StoreOptions store;
  MeasureOptions measure;
};

// Under a name that its content gives it, so that each is kept once.
Result<std::string> Keep(const std::string& program, const std::string& folder) {
  TERN_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(program));
  const fs::path kept =
      fs::path(folder) /
      fmt::format("{}-{:016x}", fs::path(program).filename().string(), Digest(file->bytes()));
  std::error_code ec;
  if (fs::exists(kept, ec)) return kept.string();
  fs::create_directories(folder, ec);
  const std::string temporary = fmt::format("{}.{}", kept.string(), ::getpid());
  if (!ec) fs::copy_file(program, temporary, fs::copy_options::overwrite_existing, ec);
  if (!ec) fs::rename(temporary, kept, ec);
  if (ec)
    return Fail(Code::kResourceExhausted, "{}: can't be kept: {}", kept.string(), ec.message());
  return kept.string();
}

std::vector<Limit> Limits() {
  std::vector<Limit> limits;
  PrintNote("measuring the limits of the machine (--no-limits skips this)");
  const LimitOptions options{.runs = 8, .one_thread = false};
  limits.push_back(MeasureDramRead(options));
  for (Limit& peak : MeasureIntPeaks(options)) limits.push_back(std::move(peak));
  for (const Limit& limit : limits) NoteIfDisturbed(limit);
  return limits;
}

Result<int> Record(const Options& options) {
  if (options.measure.arguments.empty())
    return UsageError("nothing to measure: what the program is called with comes after --");
  CatchInterrupts(OnSecondInterrupt::kExit);
  MeasuredProgram program{"", options.measure.arguments, options.measure.env};
  TERN_ASSIGN_OR_RETURN(program.path, ResolveProgram(options.measure.program));
  // What can't be stored should be known before the minutes of measuring.
  TERN_ASSIGN_OR_RETURN(BaselineStore store, OpenStore(options.store));
  BaselineRun run;
  run.name = options.name;
  run.commit = options.commit.empty() ? CommitOf(program.path) : options.commit;
  run.build = AskBuild(program);
  run.machine = ReadFingerprint();
  run.program = program.path;
  if (!options.no_keep) {
    TERN_ASSIGN_OR_RETURN(run.program, Keep(program.path, KeptFolder(options.store)));
  }
  if (!options.no_limits) run.limits = Limits();
  Rounds rounds(options.measure);
  for (;;) {
    TERN_ASSIGN_OR_RETURN(const bool more, rounds.Next());
    if (!more) break;
    TERN_ASSIGN_OR_RETURN(auto results, RunRound(program, options.measure.choice));
    Append(run.results, std::move(results));
  }
  TERN_ASSIGN_OR_RETURN(const int64_t id, store.Add(run));
  fmt::print("run {} of baseline '{}': {}\n", id, run.name, program.Line());
  for (const BaselineResult& result : run.results) {
    const std::vector<double> values = result.Values();
    const Spread spread = SpreadOf(values);
    fmt::print("{}: {} {:.6g} ({:.6g} .. {:.6g}), {} rounds\n", result.benchmark, result.metric,
               spread.median, spread.min, spread.max, values.size());
  }
  return kExitOk;
}

Result<int> Machine(const std::string& output) {
  const MachineFingerprint m = ReadFingerprint();
  const BuildFacts build = ThisBuild();
  const nlohmann::ordered_json rows = {{"cpu", m.cpu},
                                       {"features", m.features},
                                       {"cpus", m.cpus},
                                       {"l1d", m.caches.l1d},
                                       {"l2", m.caches.l2},
                                       {"l3", m.caches.l3},
                                       {"memory", m.memory},
                                       {"memory_bytes", m.memory_bytes},
                                       {"gpu", m.gpu},
                                       {"gpu_driver", m.gpu_driver},
                                       {"governor", m.governor},
                                       {"system", m.system},
                                       {"version", build.version},
                                       {"compiler", build.compiler},
                                       {"flags", build.flags}};
  if (output == "json") {
    fmt::print("{}\n", rows.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    return kExitOk;
  }
  for (const auto& [name, value] : rows.items()) {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    fmt::print("{:<14}{}\n", name, text.empty() || text == "0" ? "not known" : text);
  }
  return kExitOk;
}

}  // namespace

Action DefinePerfRecord(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("--name", options->name, "Of the baseline; a name that exists gets one more run")
      ->option_text("NAME")
      ->required()
      ->check([](const std::string& name) { return name.empty() ? "is empty" : std::string(); });
  app.add_option("--program", options->measure.program, "What is measured (default: this program)")
      ->option_text("PROGRAM");
  AddMeasureOptions(app, options->measure, true);
  app.add_option("--commit", options->commit,
                 "Of the program's sources (default: the checkout that the program lies in)")
      ->option_text("ID");
  app.add_flag("--no-keep", options->no_keep,
               "Don't keep a copy of the program: checks can't run it in turn with a new one");
  app.add_flag("--no-limits", options->no_limits, "Don't measure the limits of the machine");
  AddStoreOption(app, options->store);
  return [options] { return Record(*options); };
}

Action DefinePerfMachine(CLI::App& app) {
  auto output = std::make_shared<std::string>("table");
  app.add_option("-o,--output", *output, "table (default) or json")
      ->option_text("FORM")
      ->check(CLI::IsMember({"table", "json"}));
  return [output] { return Machine(*output); };
}

}  // namespace tern::cli
