// tern bench --bitlinear: a layer's calls in two ways, as nothing else tells a rate from a latency
// on a device that works behind the caller's back. Queued: kQueuedCalls of them, then one wait;
// rates are of these. Alone: a wait after each; times of a call are of these. On a CPU both are the
// same.
#include <chrono>
#include <cstdio>
#include <map>

#include "base/math.h"
#include "base/rng.h"
#include "bench.h"
#include "command.h"
#include "engine/benchmark.h"
#include "interrupt.h"
#include "perf/statistics.h"
#include "platform/machine.h"
#include "registry/registry.h"

namespace tern::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kRunSeconds = 0.125;  // of each way
constexpr int64_t kLeastCalls = 200;   // for a 99th percentile that means something
constexpr int64_t kQueuedCalls = 64;

struct Size {
  int64_t outputs, inputs;
};
const std::map<std::string, Size> kSizes = {
    {"small", {768, 768}}, {"medium", {2560, 2560}}, {"large", {14336, 4096}}};

/// A layer with random weights, its inputs and outputs in the memory of the backend.
class Layer {
 public:
  static Result<Layer> Create(Backend& backend, const Size& size, int64_t batch) {
    Rng rng(1);
    std::vector<int8_t> weights(static_cast<size_t>(size.outputs * size.inputs));
    for (int8_t& w : weights) w = static_cast<int8_t>(static_cast<int>(rng.Next() % 3) - 1);
    TERN_ASSIGN_OR_RETURN(
        TernaryMatrix matrix,
        TernaryMatrix::FromValues(size.outputs, size.inputs, weights, ScaleSpec::Tensor(0.02f)));
    Layer layer(size, batch);
    TERN_ASSIGN_OR_RETURN(layer.weights_, backend.Pack(std::move(matrix)));
    std::vector<float> x(static_cast<size_t>(batch * size.inputs));
    for (float& v : x) v = static_cast<float>(rng.NextUnit() - 0.5);
    const auto rows = static_cast<size_t>(batch);
    TERN_ASSIGN_OR_RETURN(layer.x_, backend.Upload(x));
    TERN_ASSIGN_OR_RETURN(
        layer.y_, backend.Allocate(rows * static_cast<size_t>(size.outputs) * sizeof(float)));
    TERN_ASSIGN_OR_RETURN(layer.q_, backend.Allocate(rows * static_cast<size_t>(layer.stride_)));
    TERN_ASSIGN_OR_RETURN(layer.step_, backend.Allocate(rows * sizeof(float)));
    TERN_ASSIGN_OR_RETURN(layer.sums_, backend.Allocate(rows * sizeof(int32_t)));
    return layer;
  }

  /// Quantises the inputs and multiplies.
  void Run(Backend& backend) const {
    const LinearInput in{.type = ActivationType::kInt8,
                         .rows = batch_,
                         .cols = size_.inputs,
                         .group = weights_->group(),
                         .stride = stride_,
                         .q = q_.as<int8_t>(),
                         .step = step_.as<float>(),
                         .sums = sums_.as<int32_t>()};
    backend.NormLinear({x_.as<float>(), batch_, size_.inputs}, nullptr, 1e-5f, in, *weights_,
                       {y_.as<float>(), batch_, size_.outputs}, Epilogue::kStore);
  }

  size_t bytes() const {
    return weights_->bytes() + x_.bytes() + y_.bytes() + q_.bytes() + step_.bytes() + sums_.bytes();
  }

 private:
  Layer(const Size& size, int64_t batch)
      : size_(size),
        batch_(batch),
        stride_(static_cast<int64_t>(AlignUp(static_cast<uint64_t>(size.inputs), kInputPadding))) {}

  Size size_;
  int64_t batch_, stride_;
  std::unique_ptr<PackedTernary> weights_;
  Buffer x_, y_, q_, step_, sums_;
};

/// Several calls make a pass, which a GPU records and replays like those of a model.
Status Round(Backend& backend, const Layer& layer, int64_t calls) {
  if (calls == 1) {
    layer.Run(backend);
    return backend.Synchronize();
  }
  PassInfo pass;
  pass.buffers = &layer;
  TERN_ASSIGN_OR_RETURN(const bool wanted, backend.BeginPass(pass));
  for (int64_t i = 0; wanted && i < calls; ++i) layer.Run(backend);
  TERN_TRY(backend.EndPass());
  return backend.Synchronize();
}

/// Seconds of each round of `calls` calls and a wait, for at least kRunSeconds and so many rounds.
Result<std::vector<double>> TimeRounds(Backend& backend, const Layer& layer, int64_t calls,
                                       int64_t least_rounds) {
  constexpr int kWarmUps = 3;  // loads kernels, records, replays
  for (int i = 0; i < kWarmUps; ++i) TERN_TRY(Round(backend, layer, calls));
  std::vector<double> seconds;
  const auto begin = Clock::now();
  auto before = begin;
  while (std::ssize(seconds) < least_rounds ||
         std::chrono::duration<double>(before - begin).count() < kRunSeconds) {
    TERN_TRY(Round(backend, layer, calls));
    const auto now = Clock::now();
    seconds.push_back(std::chrono::duration<double>(now - before).count());
    before = now;
    if (Interrupted()) return Fail(Code::kCancelled, "stopped");
  }
  return seconds;
}

struct Measured {
  std::vector<double> rates;    // rows a second of queued calls, one a repetition
  std::vector<double> seconds;  // of each call alone
  std::optional<GpuUse> gpu;    // while calls are queued; its tokens are rows
};

// As RunBenchmark: runs that only the GPU's figures want aren't timed.
Result<Measured> Measure(Backend& backend, const Layer& layer, int64_t batch, int repetitions,
                         GpuSampler* gpu) {
  Measured measured;
  if (gpu != nullptr) gpu->Reset();
  for (int repetition = 0; repetition < repetitions || (gpu != nullptr && !gpu->Enough());
       ++repetition) {
    if (gpu != nullptr) gpu->Begin();
    const auto rounds = TimeRounds(backend, layer, kQueuedCalls, 3);
    const double rows = static_cast<double>(batch * kQueuedCalls);
    if (gpu != nullptr) gpu->End(rounds ? rows * static_cast<double>(rounds->size()) : 0);
    if (!rounds) return tl::unexpected(rounds.error());
    if (repetition >= repetitions) continue;
    measured.rates.push_back(rows / Mean(*rounds));
    TERN_ASSIGN_OR_RETURN(const auto alone, TimeRounds(backend, layer, 1, kLeastCalls));
    measured.seconds.insert(measured.seconds.end(), alone.begin(), alone.end());
  }
  if (gpu != nullptr) measured.gpu = gpu->use();
  return measured;
}

Record ToRecord(const Size& size, int64_t batch, Backend& backend, const Layer& layer,
                const Measured& measured) {
  const std::string name = fmt::format("bitlinear [{},{}]x{}", batch, size.inputs, size.outputs);
  const double rate = Mean(measured.rates);
  const auto latency = [&](double p) { return Percentile(measured.seconds, p) * 1e3; };
  const double ops = 2 * static_cast<double>(size.outputs) * static_cast<double>(size.inputs);
  Record record{name,
                rate,
                {{"test", name},
                 {"backend", std::string(backend.name())},
                 {"n_threads", int64_t{backend.threads()}},
                 {"batch", batch},
                 {"inputs", size.inputs},
                 {"outputs", size.outputs},
                 {"ops_per_s", rate},
                 {"stddev_ops_per_s", SampleDeviation(measured.rates)},
                 {"queued_calls", kQueuedCalls},
                 {"ops_per_s_alone", static_cast<double>(batch) / Mean(measured.seconds)},
                 {"p50_ms", latency(50)},
                 {"p95_ms", latency(95)},
                 {"p99_ms", latency(99)},
                 {"tops", 1e-12 * ops * rate},
                 {"layer_mb", static_cast<double>(layer.bytes()) * 1e-6},
                 {"memory_mb", static_cast<double>(ReadProcessMemory().resident) * 1e-6}}};
  for (auto& field : GpuFields(measured.gpu, "row")) record.fields.push_back(std::move(field));
  return record;
}

void PrintLine(const Record& record) {
  const auto number = [&](std::string_view field) { return std::get<double>(*record.Find(field)); };
  fmt::print(
      "| {} | {} | {} | {:.0f} ± {:.0f} | {:.0f} | {:.4f} / {:.4f} / {:.4f} | {:.3f} | {:.2f} | "
      "{:.1f} |\n",
      record.name, std::get<std::string>(*record.Find("backend")),
      std::get<int64_t>(*record.Find("n_threads")), record.rate, number("stddev_ops_per_s"),
      number("ops_per_s_alone"), number("p50_ms"), number("p95_ms"), number("p99_ms"),
      number("tops"), number("layer_mb"), number("memory_mb"));
  std::fflush(stdout);
}

}  // namespace

Result<std::vector<Record>> MeasureBitLinear(const BenchOptions& options,
                                             const std::function<void(const Record&)>& row) {
  const Size size = kSizes.at(options.size);
  std::vector<Record> records;
  for (const int threads : options.threads.empty() ? std::vector<int>{1} : options.threads) {
    TERN_ASSIGN_OR_RETURN(const auto backend,
                          CreateBackend(options.model.backend, {.threads = threads}));
    TERN_ASSIGN_OR_RETURN(const std::unique_ptr<GpuSampler> gpu, WatchGpu(options, *backend));
    for (const int64_t batch : options.batches) {
      TERN_ASSIGN_OR_RETURN(const Layer layer, Layer::Create(*backend, size, batch));
      TERN_ASSIGN_OR_RETURN(const Measured measured,
                            Measure(*backend, layer, batch, options.repetitions, gpu.get()));
      records.push_back(ToRecord(size, batch, *backend, layer, measured));
      row(records.back());
    }
  }
  return records;
}

Result<int> BenchBitLinear(const BenchOptions& options) {
  TERN_ASSIGN_OR_RETURN(const std::vector<Target> targets, ReadTargets(options));
  CatchInterrupts(OnSecondInterrupt::kExit);
  const bool table = options.output == "md";
  if (table)
    fmt::print(
        "ops/s: rows a second of {} calls queued before each wait for the backend; alone: with a "
        "wait "
        "after each call, and how long one takes.\n\n"
        "| layer | backend | threads | ops/s | ops/s alone | P50 / P95 / P99 ms alone | TOPS | "
        "layer "
        "MB | process MB |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        kQueuedCalls);
  TERN_ASSIGN_OR_RETURN(const auto records, MeasureBitLinear(options, [&](const Record& record) {
                          if (table) PrintLine(record);
                        }));
  if (table) PrintGpuLines(records);
  PrintRecords(records, options, "tern_bitlinear");
  return Verdict(records, targets);
}

}  // namespace tern::cli
