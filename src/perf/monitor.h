// Live monitoring: what an engine records, how it does lately, and whether it is slower than usual.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "perf/machine_metrics.h"
#include "perf/metrics.h"
#include "perf/series.h"
#include "perf/slowdown.h"

namespace tern {

/// An operation has become slower than its baseline, or is as usual again.
struct PerformanceAlert {
  std::string operation;     // "decode", "prefill", ...
  bool firing = true;        // false: it has ended
  double ratio = 1;          // time now, as a multiple of the usual one
  double low = 1, high = 1;  // its confidence interval, about 95%
  double tolerance = 0;      // 0.05: 5% are allowed
  /// "decode takes 1.21 times its usual time (1.19 to 1.24), more than the tolerance of 5%".
  std::string Describe() const;
};

struct MonitorOptions {
  double period = 10;       // seconds between two looks
  double window = 3600;     // seconds of a trend
  double learning = 60;     // seconds until the usual time of a kind of work is known, at least
  double tolerance = 0.05;  // how much slower than usual is still well
  double hold = 60;         // seconds that a slowdown lasts before it is believed, and its end too
  double memory_limit = 0;  // bytes per second that the machine can read; 0: not known
  /// Called when an alert begins or ends, on the monitor's thread. It may take its time, but
  /// destroying the monitor waits for it.
  std::function<void(const PerformanceAlert&)> on_alert = {};
};

/// Bytes that have crossed the bus between host and device.
struct Transfers {
  uint64_t to_device = 0;
  uint64_t to_host = 0;
};

/// Bytes that a forward pass reads.
struct PassCost {
  uint64_t weight_bytes = 0;
  uint64_t position_bytes = 0;  // keys and values of one position of one sequence
};

/// A forward pass that was run.
struct ForwardPass {
  double end = 0;           // seconds, on the monitor's clock
  double seconds = 0;       // that it took
  int64_t decode_rows = 0;  // each the next token of an answer, or a guess
  int64_t prompt_rows = 0;
  int64_t sequences = 0;
  int64_t positions = 0;  // in the cache before it, summed over the sequences
};

/// A pool or a tier of one.
struct MemoryUse {
  std::string pool, tier;
  uint64_t live_bytes = 0;
  uint64_t reserved_bytes = 0;  // held from the system for it
};

/// Owns the series. Recording costs some 50 ns a value and a pass some 150 ns. Thread rule: any
/// thread, but Start and the destructor.
class PerformanceMonitor {
 public:
  enum Phase : uint8_t { kDecode, kPrefill, kMixed };
  using OperationId = size_t;

  explicit PerformanceMonitor(MonitorOptions options = {});
  ~PerformanceMonitor();
  PerformanceMonitor(const PerformanceMonitor&) = delete;
  PerformanceMonitor& operator=(const PerformanceMonitor&) = delete;

  /// Before the first pass.
  void SetCost(const PassCost& cost) { cost_ = cost; }
  /// Asked at each look, on the monitor's thread, and for each text.
  void SetMemory(std::function<std::vector<MemoryUse>()> memory);

  /// The same; of a device.
  void SetTransfers(std::function<Transfers()> transfers);

  /// Asked once a second, on the monitor's thread.
  void SetHardware(std::function<HardwareSample()> hardware);

  void RecordFirstToken(double seconds) noexcept { first_token_.Record(seconds); }
  /// Of one answer; tokens of one pass share its time.
  void RecordBetweenTokens(double seconds, uint64_t times = 1) noexcept {
    between_tokens_.Record(seconds, times);
  }
  void RecordQueueTime(double seconds) noexcept { queue_.Record(seconds); }
  void RecordPass(const ForwardPass& pass);

  /// Another operation to be watched; "decode" and "prefill" are there already.
  OperationId AddOperation(const std::string& name);
  /// cell: which work is alike (UsualTimes).
  void RecordOperation(OperationId operation, uint64_t cell, double now, double seconds);

  /// For whoever has more to publish.
  MetricRegistry& registry() { return registry_; }

  /// The clock of `now` everywhere here: seconds.
  static double Now();
  /// A look each period, on a thread of its own, from now on.
  void Start();
  /// One look, and one at the hardware, which Start's thread takes; for tests, with a clock of
  /// theirs.
  void Look(double now);
  void LookAtHardware(double now);
  /// All series, as of this moment.
  void Render(PrometheusText& out);

  HistogramSnapshot first_token() const { return first_token_.Total(); }
  HistogramSnapshot between_tokens() const { return between_tokens_.Total(); }
  HistogramSnapshot queue_time() const { return queue_.Total(); }
  HistogramSnapshot pass_time() const { return passes_.Total(); }
  SlowdownState state(OperationId operation) const;

 private:
  struct Operation;
  struct Totals {  // of passes of one phase
    double seconds = 0, rows = 0, bytes = 0;
  };

  void WatchOperations(double now, std::vector<PerformanceAlert>& alerts);
  void PublishRates(double now);
  void PublishMemory();
  void Run();

  const MonitorOptions options_;
  PassCost cost_;
  MetricRegistry registry_;
  TimeSeries first_token_, between_tokens_, queue_, passes_;
  Histogram& rows_;
  std::vector<Counter*> phase_tokens_;
  Gauge &decode_rate_, &prefill_rate_, &busy_, &read_rate_, &read_share_, &resident_;
  Counter& cpu_seconds_;

  mutable std::mutex pass_mutex_;  // of the next two, and of UsualTimes: held for moments
  std::vector<std::unique_ptr<Operation>> operations_;
  Totals totals_[3];

  std::mutex look_mutex_;  // of the rest; never held while pass_mutex_ is waited for by a pass
  std::function<std::vector<MemoryUse>()> memory_;
  std::function<Transfers()> transfers_;
  Counter* to_device_ = nullptr;  // with transfers_
  Counter* to_host_ = nullptr;
  std::function<HardwareSample()> hardware_;
  MachineMetrics machine_{registry_};
  std::vector<std::pair<std::string, std::vector<Gauge*>>> memory_gauges_;
  std::vector<std::unique_ptr<TrendSeries>> trends_;
  Totals seen_[3];
  double last_look_;
  uint64_t looks_ = 0;

  std::mutex run_mutex_;  // of the thread's stop
  std::condition_variable stop_changed_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace tern
