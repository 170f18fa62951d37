// What the parts of `tern perf` share: options, the store, names of machines.
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "human.h"
#include "interrupt.h"
#include "perf_commands.h"

namespace tern::cli {
namespace {

namespace fs = std::filesystem;

fs::path Environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// $TERN_PERF_DB, else where the XDG base directory specification puts data.
std::string DefaultStore() {
  if (const fs::path file = Environment("TERN_PERF_DB"); !file.empty()) return file.string();
  if (const fs::path base = Environment("XDG_DATA_HOME"); base.is_absolute())
    return (base / "tern/perf.sqlite").string();
  if (const fs::path home = Environment("HOME"); home.is_absolute())
    return (home / ".local/share/tern/perf.sqlite").string();
  return "perf.sqlite";
}

}  // namespace

void AddMeasureOptions(CLI::App& app, MeasureOptions& options, bool command) {
  app.add_option("--rounds", options.rounds,
                 "How often the program is started on each side (default 15)")
      ->option_text("N")
      ->check(CLI::Range(1, 10000));
  app.add_option("--seconds", options.seconds, "No round begins later (default: no such limit)")
      ->option_text("S")
      ->check(CLI::NonNegativeNumber);
  if (!command) return;
  app.add_option("ARGUMENTS", options.arguments,
                 "After --: arguments of the program, e.g. bench -p 64")
      ->option_text("...");
  app.add_option("--env", options.env, "For the program's environment; may be repeated")
      ->option_text("NAME=VALUE")
      ->allow_extra_args(false);
  app.add_option(
         "--metric", options.choice.metric,
         "Field of the program's JSON rows, e.g. p50_ms or tops:more (default: the first of "
         "samples_ts, avg_ts, ops_per_s, p50_us, best_us)")
      ->option_text("FIELD");
  app.add_option("--only", options.choice.only, "Only rows with this text in their name")
      ->option_text("TEXT");
  app.add_flag("--process", options.choice.process,
               "Time, CPU time and memory of the whole process, whatever it prints");
}

void AddStoreOption(CLI::App& app, StoreOptions& options) {
  app.add_option("--db", options.file,
                 "The file with the baselines (default: $TERN_PERF_DB, or perf.sqlite in the "
                 "user's data folder for tern)")
      ->option_text("FILE");
}

void AddJudgeOptions(CLI::App& app, JudgeOptions& options) {
  app.add_option("--tolerance", options.tolerance, "The smallest change that matters (default 5%)")
      ->option_text("SHARE");
  app.add_option("--level", options.level,
                 "Chance of a false alarm, all benchmarks together (default 0.05)")
      ->option_text("P")
      ->check(CLI::Range(0.0001, 0.5));
  app.add_option("--correction", options.correction,
                 "For many benchmarks: holm (default), bh (Benjamini-Hochberg) or none")
      ->option_text("NAME")
      ->check(CLI::IsMember({"holm", "bh", "none"}));
  app.add_option("--seed", options.seed, "Of the bootstrap (default 1)")->option_text("N");
  app.add_option("-o,--output", options.output, "table (default), md, json or html")
      ->option_text("FORM")
      ->check(CLI::IsMember({"table", "md", "json", "html"}));
}

Result<bool> Rounds::Next() {
  if (Interrupted()) return Fail(Code::kCancelled, "stopped; nothing was stored or judged");
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin_;
  const bool late = done_ > 0 && options_.seconds > 0 && spent.count() >= options_.seconds;
  if (late || done_ == options_.rounds) return false;
  PrintNote(fmt::format("round {} of {}", ++done_, options_.rounds));
  return true;
}

Result<BaselineStore> OpenStore(const StoreOptions& options) {
  if (!options.file.empty()) return BaselineStore::Open(options.file);
  const std::string file = DefaultStore();
  std::error_code ec;
  if (const fs::path folder = fs::path(file).parent_path(); !folder.empty())
    fs::create_directories(folder, ec);  // what fails here fails again below, with a message
  return BaselineStore::Open(file);
}

std::string KeptFolder(const StoreOptions& options) {
  std::error_code ec;
  return fs::absolute(options.file.empty() ? DefaultStore() : options.file, ec).string() +
         ".programs";
}

Result<double> ParseShare(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view rest(end, static_cast<size_t>(text.data() + text.size() - end));
  if (rest == "%") value /= 100;
  if (error != std::errc() || (!rest.empty() && rest != "%") || !(value >= 0 && value <= 10))
    return Fail(Code::kInvalidArgument, "found '{}', expected a share like 5% or 0.05", text);
  return value;
}

Result<CompareOptions> ToCompareOptions(const JudgeOptions& options) {
  CompareOptions compare;
  TERN_ASSIGN_OR_RETURN(compare.tolerance, ParseShare(options.tolerance));
  compare.level = options.level;
  compare.seed = options.seed;
  compare.correction = options.correction == "holm" ? Correction::kHolm
                       : options.correction == "bh" ? Correction::kBenjaminiHochberg
                                                    : Correction::kNone;
  return compare;
}

Result<std::vector<BaselineRun>> RunsOf(BaselineStore& store, const std::string& name) {
  TERN_ASSIGN_OR_RETURN(auto runs, store.Runs(name));
  if (runs.empty())
    return Fail(Code::kNotFound,
                "there is no baseline '{}' (tern perf list shows them, tern perf record makes one)",
                name);
  return runs;
}

std::string DescribeMachine(const MachineFingerprint& machine) {
  std::string text = fmt::format("{}, {} CPUs", machine.cpu, machine.cpus);
  if (machine.caches.l3 > 0) text += fmt::format(", L3 {}", HumanBytes(machine.caches.l3));
  if (!machine.memory.empty()) text += ", " + machine.memory;
  if (!machine.gpu.empty())
    text += fmt::format(", {} (driver {})", machine.gpu, machine.gpu_driver);
  if (!machine.governor.empty()) text += ", governor " + machine.governor;
  return text;
}

}  // namespace tern::cli
