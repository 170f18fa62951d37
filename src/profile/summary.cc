#include "profile/summary.h"

#include <algorithm>
#include <map>

namespace tern {
namespace {

double PerSecond(double amount, double seconds) { return seconds > 0 ? amount / seconds : 0; }

Bound Largest(const std::array<double, 3>& seconds) {
  return static_cast<Bound>(std::max_element(seconds.begin(), seconds.end()) - seconds.begin());
}

}  // namespace

std::string_view BoundName(Bound bound) {
  return bound == Bound::kMemory ? "memory" : bound == Bound::kCompute ? "compute" : "overhead";
}

Bound BoundOf(const ProfiledOp& op) {
  if (std::max(op.memory_seconds, op.compute_seconds) < kOverheadShare * op.call.seconds())
    return Bound::kOverhead;
  return op.memory_seconds >= op.compute_seconds ? Bound::kMemory : Bound::kCompute;
}

void OpGroup::Add(const ProfiledOp& op) {
  ++calls;
  seconds += op.call.seconds();
  bytes += static_cast<double>(op.call.cost.bytes);
  operations += static_cast<double>(op.call.cost.operations);
  limit_seconds += std::max(op.memory_seconds, op.compute_seconds);
  bound_seconds[static_cast<size_t>(BoundOf(op))] += op.call.seconds();
}

double OpGroup::GigabytesPerSecond() const { return PerSecond(1e-9 * bytes, seconds); }
double OpGroup::GigaOpsPerSecond() const { return PerSecond(1e-9 * operations, seconds); }
double OpGroup::Intensity() const { return bytes > 0 ? operations / bytes : 0; }
double OpGroup::PercentOfLimit() const { return 100 * PerSecond(limit_seconds, seconds); }
Bound OpGroup::bound() const { return Largest(bound_seconds); }

double PhaseSummary::PartsPercent() const { return 100 * PerSecond(all.seconds, seconds); }

std::array<double, 3> PhaseSummary::BoundSeconds() const {
  std::array<double, 3> bounds = all.bound_seconds;
  bounds[static_cast<size_t>(Bound::kOverhead)] += std::max(Between(), 0.0);
  return bounds;
}

Bound PhaseSummary::bound() const { return Largest(BoundSeconds()); }

PhaseSummary Summarize(const ProfilePhase& phase) {
  PhaseSummary summary;
  summary.seconds = phase.Seconds();
  std::map<std::string, OpGroup> ops;
  std::map<int64_t, OpGroup> layers;
  for (const ProfiledOp& op : phase.ops) {
    ops[op.role.name].Add(op);
    ops[op.role.name].part = op.role.part;
    layers[op.call.layer].Add(op);
    summary.all.Add(op);
  }
  for (auto& [name, group] : ops) {
    group.name = name;
    summary.ops.push_back(std::move(group));
  }
  std::stable_sort(summary.ops.begin(), summary.ops.end(),
                   [](const OpGroup& a, const OpGroup& b) { return a.seconds > b.seconds; });
  for (auto& [layer, group] : layers) {
    group.name = layer == kNoLayer ? kEndsPart : fmt::format("layer {}", layer);
    summary.layers.push_back(std::move(group));
  }
  if (layers.contains(kNoLayer))  // it came first
    std::rotate(summary.layers.begin(), summary.layers.begin() + 1, summary.layers.end());
  summary.all.name = "operations";
  return summary;
}

std::string BoundSentence(const ProfilePhase& phase, const ProfileLimits& limits) {
  const PhaseSummary summary = Summarize(phase);
  const std::string name = phase.test.generate > 0 ? "Decode" : "Prefill";
  if (limits.stream <= 0)
    return fmt::format("What bounds {} can't be said without the limits of the machine.",
                       phase.name);
  const Bound bound = summary.bound();
  const double share =
      100 * PerSecond(summary.BoundSeconds()[static_cast<size_t>(bound)], summary.seconds);
  if (bound == Bound::kOverhead)
    return fmt::format(
        "{} is bound by overhead: {:.0f}% of its time goes to operations that take more than "
        "{:.0f} "
        "times what their bytes and their arithmetic need, or passes between operations.",
        name, share, 1 / kOverheadShare);
  OpGroup group;
  for (const ProfiledOp& op : phase.ops)
    if (BoundOf(op) == bound) group.Add(op);
  if (bound == Bound::kMemory)
    return fmt::format(
        "{} is bound by memory: {:.0f}% of its time goes to operations whose bytes take longer "
        "than "
        "their arithmetic; they move {:.1f} GB/s, {:.0f}% of the {:.1f} GB/s measured ({}).",
        name, share, group.GigabytesPerSecond(), 100 * group.GigabytesPerSecond() / limits.stream,
        limits.stream, limits.stream_name);
  return fmt::format(
      "{} is bound by compute: {:.0f}% of its time goes to operations whose arithmetic takes "
      "longer "
      "than their bytes; they reach {:.2f} TOPS, {:.0f}% of the peaks of the numbers that they "
      "compute with.",
      name, share, 1e-3 * group.GigaOpsPerSecond(), group.PercentOfLimit());
}

}  // namespace tern
