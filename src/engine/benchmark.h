// Throughput of a loaded model, with llama-bench's conventions: tokenizing and sampling are not
// part of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/session.h"

namespace tern {

struct BenchmarkOptions {
  int64_t prompt = 512;    // tokens of the prefill test; 0: none
  int64_t generate = 128;  // tokens of the decode test; 0: none
  int64_t depth = 0;       // tokens already in the cache when a test begins
  int repetitions = 5;
  uint64_t seed = 1;  // of the random token ids
};

/// One test, e.g. "pp512" or "tg128 @ d4096".
struct BenchmarkRow {
  std::string test;
  std::vector<double> rates;      // tokens per second, one a repetition
  std::vector<double> latencies;  // seconds a forward pass, over all repetitions

  double Mean() const;
  double Deviation() const;  // of the sample; 0 for fewer than two
  /// p in [0, 100], of the latencies, nearest rank.
  double Percentile(double p) const;
};

/// What a run has to reach; a target of 0 is none.
struct BenchmarkTargets {
  double min_rate = 0;         // tokens per second, mean
  double max_p99_seconds = 0;  // of a forward pass
};

struct BenchmarkResults {
  std::string model, backend;
  uint64_t model_bytes = 0;
  int64_t parameters = 0;
  int threads = 0;
  std::vector<BenchmarkRow> rows;

  bool MeetsTargets(const BenchmarkTargets& targets) const;
  /// The table that people quote: model, size, params, backend, threads, test, t/s.
  std::string Display() const;
};

/// Called before each repetition with the test's name and its number; returning false stops.
using BenchmarkProgress = std::function<bool(const std::string&, int)>;

/// Runs one warm-up and the repetitions of each test. Every repetition has to give the same logits
/// as the first, bit for bit. Errors: kInvalidArgument when the tests don't fit in the cache,
/// kInternal for logits that differ.
Result<std::vector<BenchmarkRow>> RunBenchmark(Session& session, const BenchmarkOptions& options,
                                               const BenchmarkProgress& progress);

}  // namespace tern
