// A program under measurement: each round starts it anew, so that whatever is decided once a
// process (addresses, huge pages, which core) varies among the samples as it does in life.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "perf/fingerprint.h"
#include "perf/store/baseline_store.h"

namespace tern::cli {

struct MeasuredProgram {
  std::string path;
  std::vector<std::string> arguments;  // "bench", "-p", "64", ...
  std::vector<std::string> env;        // "NAME=VALUE"

  /// Environment and arguments as one JSON text: what a store keeps as parameters.
  std::string Parameters() const;
  /// For people: "TERN_FORCE_ISA=avx2 tern bench -p 64".
  std::string Line() const;
};
/// Reads what Parameters wrote into arguments and env. kCorrupt for another text.
Status ReadParameters(const std::string& parameters, MeasuredProgram& program);

/// What is taken from a run of the program.
struct RowChoice {
  /// A field of its JSON rows, with ":less" or ":more" behind it where the name doesn't say which
  /// is better. "": the first of samples_ts, avg_ts, ops_per_s, p50_us, best_us, all_threads that a
  /// row has.
  std::string metric;
  std::string only;      // rows whose name has this text; "": all
  bool process = false;  // the time, CPU time and memory of the whole process instead of its rows
};

/// Runs the program once; a result for each row, with one round in it. `tern bench` gets "-o json"
/// and "--no-limits" unless they are there. Errors: those of RunAndRead, kCorrupt for an output
/// without such rows, kInvalidArgument when nothing is left.
Result<std::vector<BaselineResult>> RunRound(const MeasuredProgram& program,
                                             const RowChoice& choice);

/// Adds the rounds of `more` to the results of the same benchmark and metric.
void Append(std::vector<BaselineResult>& results, std::vector<BaselineResult> more);

/// What the program says of its build (`PROGRAM perf machine`); empty texts when it doesn't.
BuildFacts AskBuild(const MeasuredProgram& program);
/// The commit of the checkout that the program lies in, "+" behind it when files are changed; ""
/// when there is none.
std::string CommitOf(const std::string& program);
/// The path of the program itself, for "": of this one. kNotFound.
Result<std::string> ResolveProgram(const std::string& name);

}  // namespace tern::cli
