#include "profile/profile.h"

#include <fmt/format.h>

#include <map>
#include <numeric>

#include "engine/benchmark_runner.h"
#include "perf/probes.h"

namespace tern {
namespace {

struct Weights {
  std::string name, part;
};

using WeightNames = std::map<const void*, Weights>;

WeightNames NamesOf(const Model& model) {
  constexpr const char* kAttention = "attention";
  constexpr const char* kFeedForward = "feed-forward";
  WeightNames names;
  for (const LayerWeights& layer : model.layers) {
    for (const auto& matrix : layer.qkv.matrices) names[matrix.get()] = {"qkv", kAttention};
    names[layer.o.get()] = {"o", kAttention};
    for (const auto& matrix : layer.gate_up.matrices)
      names[matrix.get()] = {"gate_up", kFeedForward};
    names[layer.down.get()] = {"down", kFeedForward};
  }
  return names;
}

std::string Verb(std::string_view op) {
  if (op == "NormQuantize" || op == "NormRows") return "norm";
  if (op == "Linear" || op == "LinearGated") return "linear";
  return {};
}

OpRole RoleOf(const OpCall& call, const Weights& next) {
  const std::string verb = Verb(call.op);
  if (!verb.empty()) return {fmt::format("{} {}", verb, next.name), next.part};
  if (call.op == "RopeStoreKv") return {"rope, store kv", next.part};
  if (call.op == "Attention") return {"attention", next.part};
  if (call.op == "GatedActivation") return {"gate", next.part};
  if (call.op == "Embed") return {"embedding", kEndsPart};
  if (call.op == "Logits") return {"head", kEndsPart};
  return {std::string(call.op), next.part};
}

// The instruction set at the end of a kernel's name, if there is a loop that measures its peak.
std::string IsaOf(std::string_view kernel) {
  for (const ComputeProbe& probe : IntProbes())
    if (kernel.ends_with(fmt::format("_{}", probe.name))) return std::string(probe.name);
  return {};
}

double Sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// Runs of one phase that have to give the same logits.
class PhaseRunner {
 public:
  PhaseRunner(BenchmarkRunner runner, OpRecorder& recorder, std::string name, uint64_t seed,
              const ProfileProgress& progress)
      : runner_(std::move(runner)),
        recorder_(recorder),
        name_(std::move(name)),
        seed_(seed),
        progress_(progress) {}

  /// The seconds of each pass.
  Result<std::vector<double>> Run(const std::string& what, bool traced) {
    if (progress_ && !progress_(fmt::format("{}: {}", name_, what)))
      return Fail(Code::kCancelled, "stopped");
    TERN_TRY(runner_.Prepare(seed_));
    if (traced) recorder_.Start();
    auto seconds = runner_.Run();
    if (traced) calls_ = recorder_.Stop();
    TERN_TRY(seconds);
    TERN_ASSIGN_OR_RETURN(std::vector<float> logits, runner_.Logits());
    if (expected_.empty()) expected_ = logits;
    if (logits != expected_)
      return Fail(Code::kInternal, "{}: run '{}' gave other logits than the first", name_, what);
    return seconds;
  }

  /// Of the last run that was traced.
  std::vector<OpCall> TakeCalls() { return std::move(calls_); }

 private:
  BenchmarkRunner runner_;
  OpRecorder& recorder_;
  const std::string name_;
  const uint64_t seed_;
  const ProfileProgress& progress_;
  std::vector<float> expected_;
  std::vector<OpCall> calls_;
};

Status RunPhase(Session& session, OpRecorder& recorder, const ProfileLimits& limits,
                const ProfileOptions& options, const ProfileProgress& progress,
                ProfilePhase& phase) {
  TERN_ASSIGN_OR_RETURN(BenchmarkRunner benchmark, BenchmarkRunner::Create(session, phase.test));
  PhaseRunner runner(std::move(benchmark), recorder, phase.name, options.seed, progress);
  TERN_TRY(runner.Run("warm-up", false));
  std::vector<OpCall> calls;
  for (int i = 1; i <= options.repetitions; ++i) {
    TERN_ASSIGN_OR_RETURN(const std::vector<double> untraced,
                          runner.Run(fmt::format("run {} without a clock inside", i), false));
    if (i == 1 || Sum(untraced) < phase.untraced_seconds) phase.untraced_seconds = Sum(untraced);
    TERN_ASSIGN_OR_RETURN(std::vector<double> traced,
                          runner.Run(fmt::format("run {} with one", i), true));
    if (i > 1 && Sum(traced) >= phase.Seconds()) continue;
    phase.pass_seconds = std::move(traced);
    calls = runner.TakeCalls();
  }
  phase.ops = Assign(session.model(), limits, calls);
  return {};
}

}  // namespace

std::vector<OpCall> OpRecorder::Stop() {
  on_ = false;
  return std::exchange(calls_, {});
}

const ProfileLimits::Peak* ProfileLimits::For(const OpCost& cost, int64_t rows) const {
  const auto known = [](const Peak& peak) { return peak.tops > 0 ? &peak : nullptr; };
  if (cost.numbers == OpNumbers::kBfloat16 && known(bfloat16)) return &bfloat16;
  if (cost.numbers != OpNumbers::kInt8) return known(float32);
  for (const Peak& peak : int8)
    if (peak.first_rows <= rows && (peak.last_rows == 0 || rows <= peak.last_rows))
      return known(peak);
  return nullptr;
}

double ProfilePhase::Seconds() const { return Sum(pass_seconds); }

std::vector<ProfiledOp> Assign(const Model& model, const ProfileLimits& limits,
                               const std::vector<OpCall>& calls) {
  const WeightNames names = NamesOf(model);
  const Weights head{"head", kEndsPart};
  std::vector<ProfiledOp> ops(calls.size());
  // Backwards: what an operation prepares is known from the weights that are used next.
  Weights next = head;
  for (size_t i = calls.size(); i-- > 0;) {
    const OpCall& call = calls[i];
    const auto found = names.find(call.weights);
    if (found != names.end()) next = found->second;
    if (call.layer == kNoLayer) next = head;
    const ProfileLimits::Peak* peak = limits.For(call.cost, call.rows);
    ops[i] = {call, RoleOf(call, next),
              limits.stream > 0 ? 1e-9 * static_cast<double>(call.cost.bytes) / limits.stream : 0,
              peak ? 1e-12 * static_cast<double>(call.cost.operations) / peak->tops : 0};
  }
  return ops;
}

ProfileLimits MeasureProfileLimits(Session& session, const ProfileOptions& options,
                                   const LimitOptions& measure) {
  LimitOptions with_threads = measure;
  with_threads.threads = session.backend().threads();
  with_threads.one_thread = false;
  // What a pass of one token reads.
  const ModelCost cost = CostOf(session);
  const Limit stream = MeasureReadOf(
      cost.weight_bytes + cost.kv_bytes * static_cast<uint64_t>(options.depth), with_threads);
  ProfileLimits limits;
  limits.stream = stream.all;
  limits.stream_name = stream.name;
  std::map<std::string, double> measured;
  for (const KernelRange& range : session.backend().kernel_ranges()) {
    const std::string isa = IsaOf(range.kernel);
    if (isa.empty()) continue;
    if (!measured.contains(isa))
      measured[isa] = MeasureIntPeak(isa, with_threads).value_or(Limit{}).all;
    limits.int8.push_back({IntLimitName(isa), measured[isa], range.first_rows, range.last_rows});
  }
  if (const auto peak = MeasureFloatPeak(with_threads)) limits.float32 = {peak->name, peak->all};
  if (const auto peak = MeasureBfloat16Peak(with_threads))
    limits.bfloat16 = {peak->name, peak->all};
  return limits;
}

Result<Profile> RunProfile(Session& session, OpRecorder& recorder, const BenchmarkSubject& subject,
                           const ProfileLimits& limits, const ProfileOptions& options,
                           const ProfileProgress& progress) {
  Profile profile{subject, limits, {}};
  const struct {
    const char* name;
    BenchmarkTest test;
  } phases[] = {
      {"prefill", {.prompt = options.prompt, .depth = options.depth}},
      {"decode",
       {.generate = options.generate, .depth = options.depth, .sequences = options.sequences}}};
  for (const auto& [name, test] : phases) {
    if (test.prompt + test.generate == 0) continue;
    ProfilePhase phase{.name = name, .test = test, .pass_seconds = {}, .ops = {}};
    TERN_TRY(RunPhase(session, recorder, limits, options, progress, phase));
    profile.phases.push_back(std::move(phase));
  }
  return profile;
}

}  // namespace tern
