// What `tern perf` does, each part in a file perf_*.cc of its own.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "perf/compare.h"
#include "perf_program.h"

namespace tern::cli {

inline constexpr int kExitSlower = 3;    // or over a budget
inline constexpr int kExitCantTell = 4;  // more rounds are needed

/// Which figures, and how often.
struct MeasureOptions {
  std::string program;  // "": this one
  std::vector<std::string> arguments;
  std::vector<std::string> env;
  RowChoice choice;
  int rounds = 15;
  double seconds = 0;  // no round begins later; 0: however long they take
};

/// The rounds of a measurement, one after the other.
class Rounds {
 public:
  explicit Rounds(const MeasureOptions& options) : options_(options) {}

  /// Says on stderr which round begins; false when there is none. kCancelled after an interrupt.
  Result<bool> Next();
  /// Of the round that Next named last, from 0.
  int index() const { return done_ - 1; }

 private:
  const MeasureOptions& options_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  int done_ = 0;
};

struct StoreOptions {
  std::string file;  // "": DefaultStore()
};

struct JudgeOptions {
  std::string tolerance = "5%";
  double level = 0.05;
  std::string correction = "holm";
  uint64_t seed = 1;
  std::string output = "table";
};

// Options that several subcommands share.
void AddMeasureOptions(CLI::App& app, MeasureOptions& options, bool command);
void AddStoreOption(CLI::App& app, StoreOptions& options);
void AddJudgeOptions(CLI::App& app, JudgeOptions& options);

/// Opens the store of the options, and makes the folder of the default one.
Result<BaselineStore> OpenStore(const StoreOptions& options);
/// "5%" or "0.05". kInvalidArgument.
Result<double> ParseShare(const std::string& text);
Result<CompareOptions> ToCompareOptions(const JudgeOptions& options);
/// Runs of a baseline. kNotFound when there are none.
Result<std::vector<BaselineRun>> RunsOf(BaselineStore& store, const std::string& name);
/// Where the store keeps the programs that were recorded.
std::string KeptFolder(const StoreOptions& options);

/// The outcome of a comparison, with what is needed to trust or repeat it.
struct PerfReport {
  std::string title;
  std::string a, b;                // what was compared: names or command lines
  std::string machine;             // in words
  std::vector<std::string> notes;  // what weakens the figures
  CompareOptions options;
  std::vector<Comparison> comparisons;
};
/// In one of the forms table, md, json, html.
std::string FormatReport(const PerfReport& report, const std::string& form);
/// Prints the report and returns the exit code of its worst verdict.
int FinishReport(const PerfReport& report, const std::string& form);

/// Both programs in turn, A B B A ..., a pair a round.
Result<std::vector<ComparedSeries>> MeasureInTurn(const MeasuredProgram& a,
                                                  const MeasuredProgram& b,
                                                  const MeasureOptions& options);
/// The benchmarks that both sides have, each side as it was measured by itself.
std::vector<ComparedSeries> UnpairedSeries(const std::vector<BaselineRun>& a,
                                           const std::vector<BaselineRun>& b);
std::string DescribeMachine(const MachineFingerprint& machine);

/// Measures what a budget file asks for and judges it; the exit code. accept: writes the figures of
/// now into the file, as far as they are repeatable.
struct BudgetOptions {
  std::string file;
  std::string program;
  bool accept = false;
  std::string output = "table";
};
Result<int> CheckBudgets(const BudgetOptions& options);

// Each adds its options to its subcommand.
Action DefinePerfRecord(CLI::App& app);
Action DefinePerfList(CLI::App& app);
Action DefinePerfShow(CLI::App& app);
Action DefinePerfCompare(CLI::App& app);
Action DefinePerfCheck(CLI::App& app);
Action DefinePerfExport(CLI::App& app);
Action DefinePerfImport(CLI::App& app);
Action DefinePerfAb(CLI::App& app);
Action DefinePerfHistory(CLI::App& app);
Action DefinePerfMachine(CLI::App& app);

}  // namespace tern::cli
