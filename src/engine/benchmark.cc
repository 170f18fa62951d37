#include "engine/benchmark.h"

#include <filesystem>
#include <numeric>

#include "engine/benchmark_runner.h"

namespace tern {
namespace {

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

BenchmarkSubject SubjectOf(Session& session, const BenchmarkLimits& limits) {
  BenchmarkSubject subject;
  subject.file = session.source().path();
  subject.model = std::filesystem::path(subject.file).stem().string();
  subject.backend = std::string(session.backend().name());
  for (const TensorInfo& tensor : session.source().tensors()) {
    subject.bytes += tensor.bytes;
    subject.parameters += tensor.rows() * tensor.cols();
  }
  subject.threads = session.backend().threads();
  subject.limits = limits;
  return subject;
}

Result<BenchmarkRow> RunBenchmark(Session& session, const BenchmarkTest& test,
                                  const BenchmarkSubject& subject, const BenchmarkOptions& options,
                                  const BenchmarkProgress& progress) {
  TERN_ASSIGN_OR_RETURN(BenchmarkRunner runner, BenchmarkRunner::Create(session, test));
  BenchmarkRow row{subject, test, CostOf(session), {}, {}};
  std::vector<float> expected;
  if (options.gpu != nullptr) options.gpu->Reset();
  const auto enough = [&](int repetition) {
    return repetition > options.repetitions && (options.gpu == nullptr || options.gpu->Enough());
  };
  for (int repetition = 0; !enough(repetition); ++repetition) {
    if (progress && !progress(repetition)) return Fail(Code::kCancelled, "stopped");
    TERN_TRY(runner.Prepare(options.seed));
    const bool watched = options.gpu != nullptr && repetition > 0;
    if (watched) options.gpu->Begin();
    const auto seconds = runner.Run();
    if (watched) options.gpu->End(TokensOf(test));
    if (!seconds) return tl::unexpected(seconds.error());
    TERN_ASSIGN_OR_RETURN(std::vector<float> logits, runner.Logits());
    if (repetition == 0) {  // the warm-up
      expected = std::move(logits);
      continue;
    }
    if (logits != expected)
      return Fail(Code::kInternal, "{}: repetition {} gave other logits than the first",
                  test.Name(), repetition);
    if (repetition > options.repetitions) continue;
    row.rates.push_back(TokensOf(test) / std::accumulate(seconds->begin(), seconds->end(), 0.0));
    row.latencies.insert(row.latencies.end(), seconds->begin(), seconds->end());
  }
  if (options.gpu != nullptr) row.gpu = options.gpu->use();
  return row;
}

}  // namespace tern
