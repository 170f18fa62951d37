#include "engine/benchmark.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "base/rng.h"

namespace tern {
namespace {

using Clock = std::chrono::steady_clock;

// Random ids at increasing positions, as chunks of a prompt or one by one.
class Runner {
 public:
  Runner(Session& session, uint64_t seed) : session_(session), rng_(seed) {}

  /// Runs `count` tokens from position `from` on, `rows` a pass; the duration of each pass is
  /// appended.
  Status Run(int64_t from, int64_t count, int64_t rows, std::vector<double>& seconds) {
    for (int64_t done = 0; done < count; done += rows) {
      const auto n = static_cast<size_t>(std::min(rows, count - done));
      std::vector<TokenId> ids(n);
      for (TokenId& id : ids)
        id = static_cast<TokenId>(rng_.Next() %
                                  static_cast<uint64_t>(session_.model().config.vocab));
      std::vector<int32_t> positions(n);
      std::iota(positions.begin(), positions.end(), static_cast<int32_t>(from + done));
      const std::vector<int32_t> slots(n, 0);
      const auto last = static_cast<int32_t>(n - 1);
      const auto start = Clock::now();
      TERN_ASSIGN_OR_RETURN(
          const FloatView logits,
          session_.decoder().Forward({ids, positions, slots, {&last, 1}}, session_.cache()));
      seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
      logits_.assign(logits.data, logits.data + logits.cols);
    }
    return {};
  }

  const std::vector<float>& logits() const { return logits_; }

 private:
  Session& session_;
  Rng rng_;
  std::vector<float> logits_;
};

struct Test {
  std::string name;
  int64_t tokens;
  int64_t rows;
};

Result<BenchmarkRow> RunTest(Session& session, const Test& test, const BenchmarkOptions& options,
                             const BenchmarkProgress& progress) {
  BenchmarkRow row{test.name, {}, {}};
  std::vector<float> expected;
  for (int repetition = 0; repetition <= options.repetitions;
       ++repetition) {  // the first one warms up
    if (progress && !progress(test.name, repetition)) return Fail(Code::kCancelled, "stopped");
    Runner runner(session, options.seed);
    std::vector<double> unmeasured, seconds;
    TERN_TRY(runner.Run(0, options.depth, session.decoder().max_rows(), unmeasured));
    TERN_TRY(runner.Run(options.depth, test.tokens, test.rows, seconds));
    if (repetition == 0) {
      expected = runner.logits();
      continue;
    }
    if (runner.logits() != expected)
      return Fail(Code::kInternal, "{}: repetition {} gave other logits than the first", test.name,
                  repetition);
    row.rates.push_back(static_cast<double>(test.tokens) /
                        std::accumulate(seconds.begin(), seconds.end(), 0.0));
    row.latencies.insert(row.latencies.end(), seconds.begin(), seconds.end());
  }
  return row;
}

}  // namespace

double BenchmarkRow::Mean() const {
  return rates.empty()
             ? 0
             : std::accumulate(rates.begin(), rates.end(), 0.0) / static_cast<double>(rates.size());
}

double BenchmarkRow::Deviation() const {
  if (rates.size() < 2) return 0;
  const double mean = Mean();
  double sum = 0;
  for (const double rate : rates) sum += (rate - mean) * (rate - mean);
  return std::sqrt(sum / static_cast<double>(rates.size() - 1));
}

double BenchmarkRow::Percentile(double p) const {
  if (latencies.empty()) return 0;
  std::vector<double> sorted = latencies;
  std::sort(sorted.begin(), sorted.end());
  const double rank = std::ceil(p / 100 * static_cast<double>(sorted.size()));
  return sorted[static_cast<size_t>(
      std::clamp(rank - 1, 0.0, static_cast<double>(sorted.size() - 1)))];
}

bool BenchmarkResults::MeetsTargets(const BenchmarkTargets& targets) const {
  return std::all_of(rows.begin(), rows.end(), [&](const BenchmarkRow& row) {
    return (targets.min_rate <= 0 || row.Mean() >= targets.min_rate) &&
           (targets.max_p99_seconds <= 0 || row.Percentile(99) <= targets.max_p99_seconds);
  });
}

std::string BenchmarkResults::Display() const {
  std::string table =
      "| model | size | params | backend | threads | test | t/s |\n"
      "| --- | ---: | ---: | --- | ---: | ---: | ---: |\n";
  for (const BenchmarkRow& row : rows)
    table += fmt::format("| {} | {:.2f} MiB | {:.2f} M | {} | {} | {} | {:.2f} ± {:.2f} |\n", model,
                         static_cast<double>(model_bytes) / (1 << 20),
                         static_cast<double>(parameters) / 1e6, backend, threads, row.test,
                         row.Mean(), row.Deviation());
  return table;
}

Result<std::vector<BenchmarkRow>> RunBenchmark(Session& session, const BenchmarkOptions& options,
                                               const BenchmarkProgress& progress) {
  const int64_t needed = options.depth + std::max(options.prompt, options.generate);
  if (needed > session.cache().shape().capacity)
    return Fail(Code::kInvalidArgument, "the tests need {} positions, the cache has {}", needed,
                session.cache().shape().capacity);
  const std::string at = options.depth > 0 ? fmt::format(" @ d{}", options.depth) : "";
  std::vector<Test> tests;
  if (options.prompt > 0)
    tests.push_back(
        {fmt::format("pp{}{}", options.prompt, at), options.prompt, session.decoder().max_rows()});
  if (options.generate > 0)
    tests.push_back({fmt::format("tg{}{}", options.generate, at), options.generate, 1});
  std::vector<BenchmarkRow> rows;
  for (const Test& test : tests) {
    TERN_ASSIGN_OR_RETURN(BenchmarkRow row, RunTest(session, test, options, progress));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace tern
