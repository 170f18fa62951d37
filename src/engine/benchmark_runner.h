// One test of a benchmark or a profile, as often as wanted.
#pragma once

#include <optional>
#include <vector>

#include "base/rng.h"
#include "engine/benchmark.h"
#include "engine/session.h"

namespace tern {

/// Random ids at increasing positions: of one sequence as chunks of a prompt, or of several
/// sequences token by token. The session must outlive the runner.
class BenchmarkRunner {
 public:
  /// Errors: kInvalidArgument when the test doesn't fit in the session, kResourceExhausted for the
  /// cache of a batch.
  static Result<BenchmarkRunner> Create(Session& session, const BenchmarkTest& test);

  /// Fills the cache to the test's depth; the same seed gives the same ids.
  Status Prepare(uint64_t seed);
  /// Once after each Prepare: the seconds of each forward pass.
  Result<std::vector<double>> Run();
  /// Of the last pass, all rows that had any, one after the other. Errors: kDevice.
  Result<std::vector<float>> Logits();

 private:
  BenchmarkRunner(Session& session, const BenchmarkTest& test);

  Status Prefill(int32_t sequence, int64_t from, int64_t count, std::vector<double>& seconds);
  Status Decode(int64_t from, int64_t count, std::vector<double>& seconds);
  Status Pass(const std::vector<int32_t>& positions, const std::vector<int32_t>& sequences,
              const std::vector<int32_t>& wanted, std::vector<double>& seconds);

  Session* session_;
  BenchmarkTest test_;
  std::optional<KvCache> batch_cache_;  // of several sequences; one has the session's
  Rng rng_{0};
  std::vector<std::vector<BlockId>> tables_;  // of the sequences
  FloatView last_;                            // what the last pass returned
};

}  // namespace tern
