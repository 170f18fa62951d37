#include "engine/benchmark_runner.h"

#include <algorithm>
#include <chrono>
#include <numeric>

namespace tern {
namespace {

using Clock = std::chrono::steady_clock;

Status CheckTest(Session& session, const BenchmarkTest& test) {
  if (test.sequences > session.decoder().max_rows())
    return Fail(Code::kInvalidArgument, "{}: {} sequences at once, the decoder takes {}",
                test.Name(), test.sequences, session.decoder().max_rows());
  if (test.positions() > session.context())
    return Fail(Code::kInvalidArgument, "{} needs {} positions, the cache has {}", test.Name(),
                test.positions(), session.context());
  return {};
}

}  // namespace

BenchmarkRunner::BenchmarkRunner(Session& session, const BenchmarkTest& test)
    : session_(&session), test_(test) {
  const auto blocks = static_cast<BlockId>(BlocksFor(test.positions()));
  for (BlockId i = 0; i < test.sequences; ++i)
    tables_.push_back(IdentityTable(test.positions(), i * blocks));
}

Result<BenchmarkRunner> BenchmarkRunner::Create(Session& session, const BenchmarkTest& test) {
  TERN_TRY(CheckTest(session, test));
  BenchmarkRunner runner(session, test);
  if (test.sequences > 1) {
    TERN_ASSIGN_OR_RETURN(runner.batch_cache_, session.decoder().CreateCache(
                                                   test.sequences * BlocksFor(test.positions())));
  }
  return runner;
}

Status BenchmarkRunner::Prepare(uint64_t seed) {
  rng_ = Rng(seed);
  std::vector<double> unmeasured;
  for (int32_t sequence = 0; sequence < test_.sequences; ++sequence)
    TERN_TRY(Prefill(sequence, 0, test_.depth, unmeasured));
  return {};
}

Result<std::vector<double>> BenchmarkRunner::Run() {
  std::vector<double> seconds;
  TERN_TRY(test_.generate > 0 ? Decode(test_.depth, test_.generate, seconds)
                              : Prefill(0, test_.depth, test_.prompt, seconds));
  return seconds;
}

Result<std::vector<float>> BenchmarkRunner::Logits() {
  std::vector<float> logits;
  for (int64_t row = 0; row < last_.rows; ++row) {
    TERN_ASSIGN_OR_RETURN(
        const auto all,
        LogitRow(session_->decoder(), last_, row, static_cast<size_t>(last_.cols)).All());
    logits.insert(logits.end(), all.begin(), all.end());
  }
  return logits;
}

Status BenchmarkRunner::Prefill(int32_t sequence, int64_t from, int64_t count,
                                std::vector<double>& seconds) {
  const int64_t rows = session_->decoder().max_rows();
  for (int64_t done = 0; done < count; done += rows) {
    const auto n = static_cast<size_t>(std::min(rows, count - done));
    std::vector<int32_t> positions(n);
    std::iota(positions.begin(), positions.end(), static_cast<int32_t>(from + done));
    const std::vector<int32_t> sequences(n, sequence);
    TERN_TRY(Pass(positions, sequences, {static_cast<int32_t>(n - 1)}, seconds));
  }
  return {};
}

Status BenchmarkRunner::Decode(int64_t from, int64_t count, std::vector<double>& seconds) {
  std::vector<int32_t> sequences(tables_.size());
  std::iota(sequences.begin(), sequences.end(), 0);
  for (int64_t done = 0; done < count; ++done) {
    const std::vector<int32_t> positions(sequences.size(), static_cast<int32_t>(from + done));
    TERN_TRY(Pass(positions, sequences, sequences, seconds));
  }
  return {};
}

Status BenchmarkRunner::Pass(const std::vector<int32_t>& positions,
                             const std::vector<int32_t>& sequences,
                             const std::vector<int32_t>& wanted, std::vector<double>& seconds) {
  std::vector<TokenId> ids(positions.size());
  for (TokenId& id : ids)
    id = static_cast<TokenId>(rng_.Next() % static_cast<uint64_t>(session_->model().config.vocab));
  const std::vector<std::span<const BlockId>> tables(tables_.begin(), tables_.end());
  KvCache& cache = batch_cache_ ? *batch_cache_ : session_->cache();
  const auto start = Clock::now();
  TERN_ASSIGN_OR_RETURN(
      const FloatView logits,
      session_->decoder().Forward(
          {ids, positions, sequences, tables, wanted, BatchOutput::kTopLogits}, cache));
  seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  last_ = logits;
  return {};
}

}  // namespace tern
