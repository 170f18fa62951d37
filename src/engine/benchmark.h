// Throughput and latency of a loaded model, with llama-bench's conventions: tokenizing and sampling
// are not part of it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/session.h"
#include "perf/gpu_sampler.h"
#include "perf/report.h"

namespace tern {

/// What one row measures: the prefill of a prompt, or decoding that many tokens of each of one or
/// several sequences at once.
struct BenchmarkTest {
  int64_t prompt = 0;    // tokens; either this
  int64_t generate = 0;  // or this is positive
  int64_t depth = 0;     // tokens of each sequence already in the cache when the test begins
  int64_t sequences = 1;

  int64_t positions() const { return depth + prompt + generate; }
  /// "pp512", "tg128 @ d4096", "tg128 x8": names of llama-bench, and the sequences of a batch.
  std::string Name() const;
};

struct BenchmarkOptions {
  int repetitions = 5;
  uint64_t seed = 1;  // of the random token ids
  /// Watches the measured runs, and as many after them, untimed, as it takes to tell every figure.
  GpuSampler* gpu = nullptr;
};

/// What a token costs at least.
struct ModelCost {
  uint64_t weight_bytes = 0;  // read by a forward pass: all but the rows of an untied embedding
  uint64_t kv_bytes = 0;      // of one position of one sequence
  int64_t ternary_ops = 0;    // multiplications and additions of the ternary layers for one token
};
ModelCost CostOf(Session& session);

/// Measured limits of the machine with as many threads as the row has; 0: not known.
struct BenchmarkLimits {
  double stream = 0;      // GB/s read from memory
  double peak = 0;        // TOPS of int8
  std::string peak_name;  // what it is the peak of: "amx"
};

/// Where the rows of a table come from.
struct BenchmarkSubject {
  std::string model, file, backend;
  uint64_t bytes = 0;
  int64_t parameters = 0;
  int threads = 0;
  BenchmarkLimits limits;
};

/// That of a session.
BenchmarkSubject SubjectOf(Session& session, const BenchmarkLimits& limits);

/// One measured test.
struct BenchmarkRow {
  BenchmarkSubject subject;
  BenchmarkTest test;
  ModelCost cost;
  std::vector<double> rates;      // tokens per second, of all sequences, one a repetition
  std::vector<double> latencies;  // seconds a forward pass, over all repetitions
  std::optional<GpuUse> gpu = {};

  double Rate() const;             // mean
  double Deviation() const;        // of the sample; 0 for fewer than two
  double Latency(double p) const;  // percentile p in [0, 100], seconds a pass
  /// Bytes of weights, keys and values that were read, in 1e9 a second; 0 for a prefill.
  double GigabytesPerSecond() const;
  /// Multiplications and additions of the ternary layers, in 1e12 a second.
  double TeraOps() const;
  /// Shares of the limits in percent; 0 when the limit or the figure is not known.
  double StreamPercent() const;
  double PeakPercent() const;
  /// A name, the rate and every figure, for programs. Names of fields are llama-bench's where it
  /// has them; figures that are not known are NaN.
  Record ToRecord() const;
};

/// What a run has to reach; a target of 0 is none.
struct BenchmarkTargets {
  double min_rate = 0;         // tokens per second, mean
  double max_p99_seconds = 0;  // of a forward pass
};

struct BenchmarkResults {
  std::vector<BenchmarkRow> rows;

  bool MeetsTargets(const BenchmarkTargets& targets) const;
  /// The table that people quote (model, size, params, backend, threads, test, t/s), with latencies
  /// and shares of the limits at its end.
  std::string Display() const;
};
/// Head and line of that table.
std::string BenchmarkTableHead();
std::string BenchmarkTableLine(const BenchmarkRow& row);

/// Fields for a record; NaN for what isn't known. unit: what the GPU computed, "token" or "row".
std::vector<std::pair<std::string, FieldValue>> GpuFields(const std::optional<GpuUse>& use,
                                                          std::string_view unit = "token");
/// What of them is known, in a line: "GPU, tg128: 97% busy, 310 W, 1980 MHz, 61 °C, 12345 MB, 0.155
/// J a token"; "" when nothing is.
std::string GpuLine(const Record& record);

/// Called before each repetition with its number, 0 for the warm-up; returning false stops. Numbers
/// beyond the repetitions are runs that only the GPU's figures want.
using BenchmarkProgress = std::function<bool(int)>;

/// Runs one warm-up and the repetitions of a test. Every repetition has to give the same logits as
/// the first, bit for bit. The session needs logits for as many rows as the test has sequences.
/// Errors: kInvalidArgument when the test doesn't fit in the session, kInternal for logits that
/// differ, kResourceExhausted for the cache of a batch, kCancelled.
Result<BenchmarkRow> RunBenchmark(Session& session, const BenchmarkTest& test,
                                  const BenchmarkSubject& subject, const BenchmarkOptions& options,
                                  const BenchmarkProgress& progress);

}  // namespace tern
