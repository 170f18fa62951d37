// Measured baselines in an SQLite file, so that a figure of today can be held against one of last
// month: who measured what, on which machine, with every sample.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "perf/fingerprint.h"
#include "perf/limits.h"
#include "perf/store/sqlite.h"

namespace tern {

/// One benchmark of a run. Samples are kept as they were taken: a round is one start of the
/// program, and what it measured in it.
struct BaselineResult {
  std::string benchmark;   // "pp64"
  std::string parameters;  // what it was called with: "-p 64 -n 0 -t 1"
  std::string metric;      // "samples_ts": the field of the row
  bool more_is_better = false;
  std::vector<std::vector<double>> rounds;

  /// One value a round, the median of its samples: what comparisons work on.
  std::vector<double> Values() const;
};

/// One recording, under the name of a baseline; a name may have many.
struct BaselineRun {
  int64_t id = 0;    // of this file; 0: not stored yet
  std::string uuid;  // the same in every file; "": the store makes one
  std::string name;
  std::string recorded_at;  // UTC, "2026-11-28T08:27:26Z"; "": the store's clock
  std::string commit;       // of the sources; "" when not known
  std::string program;      // path of what was measured
  BuildFacts build;         // of that program; "" when not known
  MachineFingerprint machine;
  std::vector<Limit> limits;  // measured in the same run; may be none
  std::vector<BaselineResult> results;
};

/// The file. Writers of several processes may work at once (write-ahead log, immediate
/// transactions, a wait of `busy_ms` for each other); a run is stored whole or not at all. Thread
/// rule: one thread at a time, but any number of stores over one file.
class BaselineStore {
 public:
  static constexpr int kSchema = 2;
  static constexpr int kBusyMs = 10000;

  /// Opens the file, creates it, or brings an older schema to this one (in one transaction).
  /// Errors: kCorrupt for a file that is no database or is damaged, kInvalidArgument for a database
  /// of something else, kUnsupported for a schema newer than kSchema, kResourceExhausted while
  /// others keep it locked, kNotFound when the path can't be opened. None of them changes the file.
  static Result<BaselineStore> Open(const std::string& path, int busy_ms = kBusyMs);

  /// Stores a run and returns its id; one whose uuid is there already is left alone: 0.
  Result<int64_t> Add(const BaselineRun& run);
  /// Runs of a baseline in the order of recording; every run for "". Without samples when only
  /// the heads are wanted.
  Result<std::vector<BaselineRun>> Runs(const std::string& name, bool samples = true);
  /// kNotFound for an id that the file doesn't have.
  Result<BaselineRun> Run(int64_t id);

 private:
  explicit BaselineStore(SqlDatabase database) : database_(std::move(database)) {}
  Result<std::vector<BaselineRun>> Read(std::string_view condition, std::string_view value,
                                        bool samples);
  Status ReadResults(BaselineRun& run);
  Status AddResults(int64_t run, const BaselineRun& data);
  Result<int64_t> AddMachine(const MachineFingerprint& machine);

  SqlDatabase database_;
};

/// Runs as a JSON text, whole: what one store exports another imports.
std::string ExportRuns(const std::vector<BaselineRun>& runs);
/// kCorrupt, with `name` in front, for what is no such text.
Result<std::vector<BaselineRun>> ImportRuns(std::string_view json, const std::string& name);

}  // namespace tern
