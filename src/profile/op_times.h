// Times of a serving engine's operations, for /metrics.
#pragma once

#include <atomic>
#include <string_view>
#include <vector>

#include "backend/trace/trace_backend.h"
#include "perf/monitor.h"

namespace tern {

/// Observes a trace backend from AttachTo on: tern_operation_seconds{operation}, by the name that
/// Backend has for it, tern_layer_seconds_total{layer}, and whether operations are slower than
/// usual. Thread rule: AttachTo may come while the backend computes; the rest is OpObserver's.
class OpTimes final : public OpObserver {
 public:
  /// Once; the monitor must outlive the backend's last operation.
  void AttachTo(PerformanceMonitor& monitor, int64_t layers);

  bool wants_ops() const noexcept override {
    return monitor_.load(std::memory_order_acquire) != nullptr;
  }
  void OnOp(const OpCall& call) noexcept override;

 private:
  struct Operation {
    std::string_view name;
    Histogram* seconds;
    PerformanceMonitor::OperationId id;
  };

  std::vector<Operation> operations_;
  std::vector<Counter*> layers_;
  std::atomic<PerformanceMonitor*> monitor_ = nullptr;  // set last
};

}  // namespace tern
