#include "profile/op_times.h"

#include <algorithm>
#include <bit>
#include <string>

namespace tern {
namespace {

constexpr std::string_view kOperations[] = {
    "Embed",     "NormQuantize", "Linear",          "LinearGated", "RopeStoreKv",
    "Attention", "NormRows",     "GatedActivation", "Logits",      "Copy"};

// Operations with about as many rows, bytes and calculations are alike: eight steps to a power of
// two, the top three bits below the leading one.
uint64_t Step(uint64_t value) {
  const auto bits = static_cast<int>(std::bit_width(value));
  if (bits <= 4) return value;
  return static_cast<uint64_t>(bits) << 3 | (value >> (bits - 4) & 7);
}

uint64_t CellOf(const OpCall& call) {
  return Step(static_cast<uint64_t>(std::max<int64_t>(call.rows, 0))) << 40 |
         Step(call.cost.bytes) << 20 | Step(static_cast<uint64_t>(call.cost.operations));
}

}  // namespace

void OpTimes::AttachTo(PerformanceMonitor& monitor, int64_t layers) {
  for (const std::string_view name : kOperations) {
    const std::string text(name);
    operations_.push_back(
        {name,
         &monitor.registry().AddHistogram(
             {"tern_operation_seconds", "Time of an operation of a forward pass.", "seconds"},
             DecimalBounds(1e-6, 1), {{"operation", text}}),
         monitor.AddOperation(text)});
  }
  for (int64_t layer = 0; layer < layers; ++layer)
    layers_.push_back(&monitor.registry().AddCounter(
        {"tern_layer_seconds_total", "Time of the operations of a layer.", "seconds"},
        {{"layer", std::to_string(layer)}}));
  monitor_.store(&monitor, std::memory_order_release);
}

void OpTimes::OnOp(const OpCall& call) noexcept {
  const auto found = std::find_if(operations_.begin(), operations_.end(),
                                  [&call](const Operation& op) { return op.name == call.op; });
  if (found == operations_.end()) return;
  const double seconds = call.seconds();
  found->seconds->Record(seconds);
  if (call.layer >= 0 && call.layer < static_cast<int64_t>(layers_.size()))
    layers_[static_cast<size_t>(call.layer)]->Add(seconds);
  const double now = std::chrono::duration<double>(call.end.time_since_epoch()).count();
  monitor_.load(std::memory_order_relaxed)->RecordOperation(found->id, CellOf(call), now, seconds);
}

}  // namespace tern
