// The kinds of measurement of `tern bench`, each in a file bench_*.cc of its own.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "model_options.h"
#include "perf/gpu_sampler.h"
#include "perf/limits.h"
#include "perf/report.h"
#include "perf/targets.h"

namespace tern::cli {

inline constexpr int kExitMissed = 3;  // a target was given and not reached

struct BenchOptions {
  ModelOptions model;               // what all models share
  std::vector<std::string> models;  // empty: the built-in model
  std::vector<int64_t> prompts = {512}, generates = {128}, depths = {0}, sequences = {1};
  std::vector<int> threads;  // empty: one per CPU
  int repetitions = 5;
  bool skip_limits = false;
  std::string output = "md";
  std::string report;                // folder; "": no page
  std::vector<std::string> history;  // files with earlier measurements
  // Rows of the page alone, for what the lists above don't say: decodes of one test at other batch
  // sizes and depths, and all tests of one sequence with other numbers of threads.
  std::vector<int64_t> more_sequences, more_depths;
  std::vector<int> more_threads;

  bool limits = false;
  bool kernels = false;
  std::vector<std::string> shapes;
  std::string isa;  // of the kernels; "": all that this CPU can run
  bool cold = false;
  bool bitlinear = false;
  std::vector<int64_t> batches = {1, 4, 8, 16, 32, 64, 128};
  std::string size = "small";
  std::string versus, versus_model;

  std::string targets_file;
  double target_rate = 0, target_p99_ms = 0, target_memory_mb = 0, target_gpu_percent = 0;
  std::string nvml;  // library; "": NVIDIA's, when a GPU computes
};

/// Rows of models: pp, tg, batches, at depths.
Result<int> BenchModels(const BenchOptions& options);
/// What the machine can do.
Result<int> BenchLimits(const BenchOptions& options);
/// Every kernel of the CPU backend alone.
Result<int> BenchKernels(const BenchOptions& options);
/// Quantisation and product of one layer.
Result<int> BenchBitLinear(const BenchOptions& options);
/// Against another program with llama-bench's options, in turn.
Result<int> BenchVersus(const BenchOptions& options);

/// The product's own targets: a table of what was wanted and found; 3 when one is missed. What this
/// machine has no figure for is absent, not missed.
Result<int> BenchProduct(const BenchOptions& options);

/// Rows of one layer for each of the options' batches and threads. Called with each row as it is
/// there.
Result<std::vector<Record>> MeasureBitLinear(const BenchOptions& options,
                                             const std::function<void(const Record&)>& row);

/// Prints the rows in the form asked for, unless that is md, for which each kind has a table of its
/// own. `table` is the name in SQL.
void PrintRecords(const std::vector<Record>& records, const BenchOptions& options,
                  std::string_view table);
/// The targets of the options. Errors: a file that can't be read or has another form.
Result<std::vector<Target>> ReadTargets(const BenchOptions& options);
/// Says on stderr what was missed; the exit code.
int Verdict(const std::vector<Record>& records, const std::vector<Target>& targets);

/// Watches the GPU that computes, or the first of the library that the options name. Nothing where
/// there is neither; says on stderr when the figures can't be had. Errors: a named library that is
/// none.
Result<std::unique_ptr<GpuSampler>> WatchGpu(const BenchOptions& options, const Backend& backend);

/// Prints what the GPU did in these rows, where that is known: paragraphs below a table.
void PrintGpuLines(const std::vector<Record>& records);

/// Says on stderr that other work kept the machine from what it can do, where it did.
void NoteIfDisturbed(const Limit& limit);

/// Limits with this many threads (<= 0: one per CPU), with a note on stderr while they are
/// measured. isa: whose int8 peak; "" for none.
struct QuickLimits {
  double stream_gb_s = 0;
  double peak_tops = 0;
};
QuickLimits MeasureQuickLimits(int threads, std::string_view isa);

}  // namespace tern::cli
