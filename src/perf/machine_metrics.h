// What the hardware says, as metrics: what it doesn't say is left out.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "perf/metrics.h"
#include "platform/hw_counters.h"

namespace tern {

/// Thread rule: one owner.
class MachineMetrics {
 public:
  explicit MachineMetrics(MetricRegistry& registry) : registry_(registry) {}

  /// now: seconds; tokens: generated so far, for the energy of one.
  void Publish(double now, const HardwareSample& sample, double tokens);

 private:
  /// A reading that only grows, and when it was taken.
  struct Reading {
    double time = 0, value = 0;
  };

  void Set(const MetricInfo& info, const MetricLabels& labels, std::optional<double> value);
  void Count(const MetricInfo& info, const MetricLabels& labels, std::optional<double> total);
  void PublishCpu(const CpuCounts& cpu);
  void PublishDram(const DramBytes& dram);
  double PublishEnergy(double now, const std::vector<EnergyReading>& energy);
  void PublishGpu(const std::string& index, const GpuSample& gpu);

  MetricRegistry& registry_;
  std::map<std::string, Gauge*> gauges_;
  std::map<std::string, Counter*> counters_;
  std::map<std::string, Reading> energy_;  // by domain
  // The last interval's beginning, for the energy of a token.
  std::optional<Reading> energy_since_;
  double tokens_since_ = 0;
};

}  // namespace tern
