#include "engine/benchmark.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/rng.h"

namespace tern {
namespace {

using Clock = std::chrono::steady_clock;

// Random ids at increasing positions: of one sequence as chunks of a prompt, or of several
// sequences token by token.
class Runner {
 public:
  Runner(Session& session, KvCache& cache, const BenchmarkTest& test, uint64_t seed)
      : session_(session), cache_(cache), rng_(seed) {
    const auto blocks = static_cast<BlockId>(BlocksFor(test.positions()));
    for (BlockId i = 0; i < test.sequences; ++i)
      owned_.push_back(IdentityTable(test.positions(), i * blocks));
    tables_.assign(owned_.begin(), owned_.end());
  }

  Status Prefill(int32_t sequence, int64_t from, int64_t count, std::vector<double>& seconds) {
    const int64_t rows = session_.decoder().max_rows();
    for (int64_t done = 0; done < count; done += rows) {
      const auto n = static_cast<size_t>(std::min(rows, count - done));
      std::vector<int32_t> positions(n);
      std::iota(positions.begin(), positions.end(), static_cast<int32_t>(from + done));
      const std::vector<int32_t> sequences(n, sequence);
      TERN_TRY(Pass(positions, sequences, {static_cast<int32_t>(n - 1)}, seconds));
    }
    return {};
  }

  Status Decode(int64_t from, int64_t count, std::vector<double>& seconds) {
    std::vector<int32_t> sequences(tables_.size());
    std::iota(sequences.begin(), sequences.end(), 0);
    for (int64_t done = 0; done < count; ++done) {
      const std::vector<int32_t> positions(sequences.size(), static_cast<int32_t>(from + done));
      TERN_TRY(Pass(positions, sequences, sequences, seconds));
    }
    return {};
  }

  /// Of the last pass, all rows that had any.
  const std::vector<float>& logits() const { return logits_; }

 private:
  Status Pass(const std::vector<int32_t>& positions, const std::vector<int32_t>& sequences,
              const std::vector<int32_t>& wanted, std::vector<double>& seconds) {
    std::vector<TokenId> ids(positions.size());
    for (TokenId& id : ids)
      id = static_cast<TokenId>(rng_.Next() % static_cast<uint64_t>(session_.model().config.vocab));
    const auto start = Clock::now();
    TERN_ASSIGN_OR_RETURN(
        const FloatView logits,
        session_.decoder().Forward({ids, positions, sequences, tables_, wanted}, cache_));
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    logits_.assign(logits.data, logits.data + logits.rows * logits.cols);
    return {};
  }

  Session& session_;
  KvCache& cache_;
  Rng rng_;
  std::vector<std::vector<BlockId>> owned_;
  std::vector<std::span<const BlockId>> tables_;  // of owned_
  std::vector<float> logits_;
};

Status CheckTest(Session& session, const BenchmarkTest& test) {
  if (test.sequences > session.decoder().max_rows())
    return Fail(Code::kInvalidArgument, "{}: {} sequences at once, the decoder takes {}",
                test.Name(), test.sequences, session.decoder().max_rows());
  if (test.positions() > session.context())
    return Fail(Code::kInvalidArgument, "{} needs {} positions, the cache has {}", test.Name(),
                test.positions(), session.context());
  return {};
}

/// One repetition; the duration of each measured pass is appended.
Status RunOnce(Runner& runner, const BenchmarkTest& test, std::vector<double>& seconds) {
  std::vector<double> unmeasured;
  for (int32_t sequence = 0; sequence < test.sequences; ++sequence)
    TERN_TRY(runner.Prefill(sequence, 0, test.depth, unmeasured));
  return test.generate > 0 ? runner.Decode(test.depth, test.generate, seconds)
                           : runner.Prefill(0, test.depth, test.prompt, seconds);
}

double TokensOf(const BenchmarkTest& test) {
  return static_cast<double>(test.generate > 0 ? test.generate * test.sequences : test.prompt);
}

}  // namespace

ModelCost CostOf(Session& session) {
  const Model& model = session.model();
  ModelCost cost;
  cost.weight_bytes = model.WeightBytes() - (model.head ? model.embedding->bytes() : 0);
  const KvShape& cache = session.cache().shape();
  cost.kv_bytes = cache.bytes() / static_cast<uint64_t>(cache.positions());
  for (const LayerWeights& layer : model.layers)
    for (const PackedTernary* w : layer.Matrices()) cost.ternary_ops += 2 * w->rows() * w->cols();
  return cost;
}

Result<BenchmarkRow> RunBenchmark(Session& session, const BenchmarkTest& test,
                                  const BenchmarkSubject& subject, const BenchmarkOptions& options,
                                  const BenchmarkProgress& progress) {
  TERN_TRY(CheckTest(session, test));
  std::optional<KvCache> batch_cache;
  if (test.sequences > 1) {
    TERN_ASSIGN_OR_RETURN(
        batch_cache, session.decoder().CreateCache(test.sequences * BlocksFor(test.positions())));
  }
  BenchmarkRow row{subject, test, CostOf(session), {}, {}};
  std::vector<float> expected;
  for (int repetition = 0; repetition <= options.repetitions; ++repetition) {
    if (progress && !progress(repetition)) return Fail(Code::kCancelled, "stopped");
    Runner runner(session, batch_cache ? *batch_cache : session.cache(), test, options.seed);
    std::vector<double> seconds;
    TERN_TRY(RunOnce(runner, test, seconds));
    if (repetition == 0) {  // the warm-up
      expected = runner.logits();
      continue;
    }
    if (runner.logits() != expected)
      return Fail(Code::kInternal, "{}: repetition {} gave other logits than the first",
                  test.Name(), repetition);
    row.rates.push_back(TokensOf(test) / std::accumulate(seconds.begin(), seconds.end(), 0.0));
    row.latencies.insert(row.latencies.end(), seconds.begin(), seconds.end());
  }
  return row;
}

}  // namespace tern
