#include "perf/monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <ctime>

#include "platform/machine.h"

namespace tern {
namespace {

constexpr const char* kPhases[] = {"decode", "prefill", "mixed"};
constexpr uint64_t kLooksPerTrend = 6;  // a trend is O(n^2) in its points
// An interval without enough ratios is joined with the next, up to this.
constexpr double kLongestInterval = 60;
constexpr double kHardwarePeriod = 1;  // seconds

std::vector<MetricLabels> PhaseLabels() {
  std::vector<MetricLabels> labels;
  for (const char* phase : kPhases) labels.push_back({{"phase", phase}});
  return labels;
}

std::vector<double> PowersOfTwo(int last) {
  std::vector<double> bounds;
  for (int power = 0; power <= last; ++power) bounds.push_back(std::ldexp(1, power));
  return bounds;
}

// Four steps to each power of two, but small numbers as they are.
uint64_t Step(int64_t value) {
  if (value <= 8) return static_cast<uint64_t>(std::max<int64_t>(value, 0));
  return static_cast<uint64_t>(std::llround(4 * std::log2(static_cast<double>(value))));
}

// Passes that take the same time on the same machine: about as many rows, over about as much
// context. Below 256 positions the context doesn't matter.
uint64_t CellOf(const ForwardPass& pass) {
  const int64_t context = pass.positions / std::max<int64_t>(1, pass.sequences);
  return Step(pass.decode_rows + pass.prompt_rows) << 32 | Step(pass.sequences) << 16 |
         Step(std::max<int64_t>(context, 256));
}

double ProcessCpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

std::string PerformanceAlert::Describe() const {
  const std::string takes = fmt::format("{} takes {:.2f} times its usual time ({:.2f} to {:.2f})",
                                        operation, ratio, low, high);
  return firing ? fmt::format("{}, more than the tolerance of {:.3g}%", takes, tolerance * 100)
                : takes + ", as usual again";
}

struct PerformanceMonitor::Operation {
  Operation(MetricRegistry& registry, const std::string& operation, const MonitorOptions& options)
      : name(operation),
        usual(options.learning),
        watch(options.tolerance, options.hold),
        ratio(registry.AddGauge(
            {"tern_slowdown_ratio", "Time of an operation lately, as a multiple of its usual time.",
             "ratio"},
            {{"operation", name}})),
        low(registry.AddGauge({"tern_slowdown_low_ratio",
                               "Lower end of the slowdown's 95% confidence interval.", "ratio"},
                              {{"operation", name}})),
        high(registry.AddGauge({"tern_slowdown_high_ratio",
                                "Upper end of the slowdown's 95% confidence interval.", "ratio"},
                               {{"operation", name}})),
        firing(registry.AddGauge({"tern_slowdown_alert",
                                  "1 while an operation is slower than usual, for long enough to "
                                  "be believed."},
                                 {{"operation", name}})),
        alerts(registry.AddCounter(
            {"tern_slowdown_alerts_total", "Alerts about an operation since the start."},
            {{"operation", name}})) {
    firing.Set(0.0);
  }

  const std::string name;
  UsualTimes usual;
  SlowdownWatch watch;
  Histogram ratios;
  HistogramSnapshot seen;  // of the ratios, at the last interval's end
  double seen_at = 0;
  Gauge &ratio, &low, &high, &firing;
  Counter& alerts;
};

PerformanceMonitor::PerformanceMonitor(MonitorOptions options)
    : options_(std::move(options)),
      first_token_(registry_, "tern_ttft", "Time to the first token"),
      between_tokens_(registry_, "tern_inter_token", "Time between two tokens of an answer"),
      queue_(registry_, "tern_queue", "Time until a request was begun"),
      passes_(registry_, "tern_step", "Time of a forward pass", PhaseLabels()),
      rows_(registry_.AddHistogram({"tern_step_rows", "Rows of a forward pass.", "rows"},
                                   PowersOfTwo(12))),
      decode_rate_(registry_.AddGauge(
          {"tern_decode_tokens_per_second",
           "Tokens that passes of decoding alone made per second of theirs, lately."})),
      prefill_rate_(registry_.AddGauge(
          {"tern_prefill_tokens_per_second",
           "Tokens that passes over prompts alone read per second of theirs, lately."})),
      busy_(registry_.AddGauge(
          {"tern_busy_ratio", "Share of the time spent in forward passes, lately.", "ratio"})),
      read_rate_(registry_.AddGauge(
          {"tern_read_bytes_per_second",
           "Bytes of weights, keys and values that decoding reads per second, lately."})),
      read_share_(registry_.AddGauge({"tern_read_limit_ratio",
                                      "tern_read_bytes_per_second as a share of what the machine "
                                      "was measured to read.",
                                      "ratio"})),
      resident_(registry_.AddGauge({"process_resident_memory_bytes",
                                    "Memory of the process, mapped files included.", "bytes"})),
      cpu_seconds_(registry_.AddCounter(
          {"process_cpu_seconds_total", "CPU time of the process.", "seconds"})),
      last_look_(Now()) {
  for (const MetricLabels& labels : PhaseLabels())
    phase_tokens_.push_back(&registry_.AddCounter(
        {"tern_step_tokens_total", "Rows of forward passes, by what the pass did.", "tokens"},
        labels));
  if (options_.memory_limit > 0)
    registry_
        .AddGauge({"tern_read_limit_bytes_per_second",
                   "Bytes per second that the machine was measured to read from memory."})
        .Set(options_.memory_limit);
  registry_
      .AddGauge({"tern_slowdown_tolerance_ratio",
                 "How much slower than usual an operation may be before it is an alert.", "ratio"})
      .Set(options_.tolerance);
  AddOperation(kPhases[kDecode]);
  AddOperation(kPhases[kPrefill]);
  for (const char* series : {"ttft", "inter_token", "queue", "step", "resident_memory"})
    trends_.push_back(std::make_unique<TrendSeries>(registry_, series, options_.window));
}

PerformanceMonitor::~PerformanceMonitor() {
  {
    const std::lock_guard lock(run_mutex_);
    stop_ = true;
  }
  stop_changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

double PerformanceMonitor::Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void PerformanceMonitor::SetMemory(std::function<std::vector<MemoryUse>()> memory) {
  const std::lock_guard lock(look_mutex_);
  memory_ = std::move(memory);
}

void PerformanceMonitor::SetTransfers(std::function<Transfers()> transfers) {
  const std::lock_guard lock(look_mutex_);
  const auto counter = [this](const char* direction) {
    return &registry_.AddCounter(
        {"tern_transfer_bytes_total", "Sent over the bus between host and device.", "bytes"},
        {{"direction", direction}});
  };
  transfers_ = std::move(transfers);
  to_device_ = counter("to_device");
  to_host_ = counter("to_host");
}

void PerformanceMonitor::SetHardware(std::function<HardwareSample()> hardware) {
  const std::lock_guard lock(look_mutex_);
  hardware_ = std::move(hardware);
}

PerformanceMonitor::OperationId PerformanceMonitor::AddOperation(const std::string& name) {
  auto operation = std::make_unique<Operation>(registry_, name, options_);
  const std::lock_guard lock(pass_mutex_);
  operations_.push_back(std::move(operation));
  return operations_.size() - 1;
}

void PerformanceMonitor::RecordOperation(OperationId operation, uint64_t cell, double now,
                                         double seconds) {
  const std::lock_guard lock(pass_mutex_);
  Operation& of = *operations_[operation];
  if (const auto ratio = of.usual.Ratio(cell, now, seconds)) of.ratios.Record(*ratio);
}

void PerformanceMonitor::RecordPass(const ForwardPass& pass) {
  const int64_t rows = pass.decode_rows + pass.prompt_rows;
  const Phase phase = pass.prompt_rows == 0 ? kDecode : pass.decode_rows == 0 ? kPrefill : kMixed;
  passes_.Record(phase, pass.seconds, 1);
  rows_.Record(static_cast<double>(rows));
  phase_tokens_[phase]->Add(static_cast<double>(rows));
  const std::lock_guard lock(pass_mutex_);
  Totals& totals = totals_[phase];
  totals.seconds += pass.seconds;
  totals.rows += static_cast<double>(rows);
  totals.bytes += static_cast<double>(cost_.weight_bytes) +
                  static_cast<double>(cost_.position_bytes) * static_cast<double>(pass.positions);
  if (phase == kMixed) return;
  Operation& operation = *operations_[phase];
  if (const auto ratio = operation.usual.Ratio(CellOf(pass), pass.end, pass.seconds))
    operation.ratios.Record(*ratio);
}

SlowdownState PerformanceMonitor::state(OperationId operation) const {
  const std::lock_guard lock(pass_mutex_);
  return operations_[operation]->watch.state();
}

void PerformanceMonitor::WatchOperations(double now, std::vector<PerformanceAlert>& alerts) {
  const std::lock_guard lock(pass_mutex_);
  for (const auto& each : operations_) {
    Operation& operation = *each;
    HistogramSnapshot all = operation.ratios.Snapshot();
    const SlowdownEvidence evidence = EvidenceOf(all.Since(operation.seen));
    const bool enough = evidence.count >= SlowdownWatch::kFewestRatios;
    if (enough || now - operation.seen_at >= kLongestInterval) {
      operation.seen = std::move(all);
      operation.seen_at = now;
    }
    if (enough) {
      operation.ratio.Set(evidence.ratio);
      operation.low.Set(evidence.low);
      operation.high.Set(evidence.high);
    }
    if (!operation.watch.Observe(now, evidence)) continue;
    const bool firing = operation.watch.firing();
    operation.firing.Set(firing ? 1.0 : 0.0);
    if (firing) operation.alerts.Add();
    alerts.push_back(
        {operation.name, firing, evidence.ratio, evidence.low, evidence.high, options_.tolerance});
  }
}

void PerformanceMonitor::PublishRates(double now) {
  Totals since[3];
  double busy = 0;
  {
    const std::lock_guard lock(pass_mutex_);
    for (size_t i = 0; i < std::size(since); ++i) {
      since[i] = {totals_[i].seconds - seen_[i].seconds, totals_[i].rows - seen_[i].rows,
                  totals_[i].bytes - seen_[i].bytes};
      seen_[i] = totals_[i];
      busy += since[i].seconds;
    }
  }
  const auto per_second = [](double amount, const Totals& totals) {
    return totals.seconds > 0 ? std::optional(amount / totals.seconds) : std::nullopt;
  };
  decode_rate_.Set(per_second(since[kDecode].rows, since[kDecode]));
  prefill_rate_.Set(per_second(since[kPrefill].rows, since[kPrefill]));
  const auto read =
      cost_.weight_bytes > 0 ? per_second(since[kDecode].bytes, since[kDecode]) : std::nullopt;
  read_rate_.Set(read);
  if (options_.memory_limit > 0)
    read_share_.Set(read ? std::optional(*read / options_.memory_limit) : std::nullopt);
  if (now > last_look_) busy_.Set(std::min(1.0, busy / (now - last_look_)));
}

void PerformanceMonitor::PublishMemory() {
  const uint64_t resident = ReadProcessMemory().resident;
  resident_.Set(resident > 0 ? std::optional(static_cast<double>(resident)) : std::nullopt);
  cpu_seconds_.Set(ProcessCpuSeconds());
  if (transfers_) {
    const Transfers transfers = transfers_();
    to_device_->Set(static_cast<double>(transfers.to_device));
    to_host_->Set(static_cast<double>(transfers.to_host));
  }
  if (!memory_) return;
  for (const MemoryUse& use : memory_()) {
    const std::string key = use.pool + "/" + use.tier;
    auto at = std::find_if(memory_gauges_.begin(), memory_gauges_.end(),
                           [&](const auto& entry) { return entry.first == key; });
    if (at == memory_gauges_.end()) {
      const MetricLabels labels = {{"pool", use.pool}, {"tier", use.tier}};
      const std::vector<Gauge*> gauges = {
          &registry_.AddGauge({"tern_memory_live_bytes", "Memory in use.", "bytes"}, labels),
          &registry_.AddGauge(
              {"tern_memory_reserved_bytes", "Memory held from the system.", "bytes"}, labels),
          &registry_.AddGauge({"tern_memory_fragmentation_ratio",
                               "Share of the memory held that nobody asked for.", "ratio"},
                              labels)};
      memory_gauges_.emplace_back(key, gauges);
      at = std::prev(memory_gauges_.end());
    }
    const auto live = static_cast<double>(use.live_bytes);
    const auto reserved = static_cast<double>(use.reserved_bytes);
    at->second[0]->Set(live);
    at->second[1]->Set(reserved);
    at->second[2]->Set(reserved > 0 ? std::optional(std::max(0.0, 1 - live / reserved))
                                    : std::nullopt);
  }
}

void PerformanceMonitor::Look(double now) {
  std::vector<PerformanceAlert> alerts;
  {
    const std::lock_guard lock(look_mutex_);
    TimeSeries* const times[] = {&first_token_, &between_tokens_, &queue_, &passes_};
    for (size_t i = 0; i < std::size(times); ++i) {
      const HistogramSnapshot fresh = times[i]->Look(now);
      if (fresh.count() > 0) trends_[i]->Add(now, fresh.Percentile(50));
    }
    PublishRates(now);
    PublishMemory();
    if (const auto resident = resident_.value()) trends_.back()->Add(now, *resident);
    if (++looks_ % kLooksPerTrend == 0)
      for (const auto& trend : trends_) trend->Update();
    WatchOperations(now, alerts);
    last_look_ = now;
  }
  if (!options_.on_alert) return;
  for (const PerformanceAlert& alert : alerts) options_.on_alert(alert);
}

void PerformanceMonitor::Render(PrometheusText& out) {
  const std::lock_guard lock(look_mutex_);
  for (TimeSeries* series : {&first_token_, &between_tokens_, &queue_, &passes_}) series->Publish();
  PublishMemory();
  registry_.Render(out);
}

void PerformanceMonitor::Start() {
  thread_ = std::thread([this] { Run(); });
}

void PerformanceMonitor::LookAtHardware(double now) {
  const std::lock_guard lock(look_mutex_);
  if (!hardware_) return;
  const uint64_t tokens = first_token_.Total().count() + between_tokens_.Total().count();
  machine_.Publish(now, hardware_(), static_cast<double>(tokens));
}

void PerformanceMonitor::Run() {
  std::unique_lock lock(run_mutex_);
  const std::chrono::duration<double> period(std::min(kHardwarePeriod, options_.period));
  double next_look = Now() + options_.period;
  while (!stop_changed_.wait_for(lock, period, [this] { return stop_; })) {
    lock.unlock();
    const double now = Now();
    LookAtHardware(now);
    if (now >= next_look) {
      Look(now);
      next_look = now + options_.period;
    }
    lock.lock();
  }
}

}  // namespace tern
