// What the hardware counts and feels: the processor's counters, energy, temperatures, GPUs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "platform/dram_counters.h"
#include "platform/nvml.h"
#include "platform/perf_events.h"

namespace tern {

struct EnergyReading {
  std::string domain;  // "package-0", "package-0/dram"
  double joules = 0;   // since Open
};
struct TemperatureReading {
  std::string sensor;  // "x86_pkg_temp"
  double celsius = 0;
};

/// What is not known is absent or an empty list, never 0.
struct HardwareSample {
  CpuCounts cpu;
  DramBytes dram;
  std::vector<EnergyReading> energy;
  std::vector<TemperatureReading> temperatures;
  std::vector<GpuSample> gpus;
};

struct HardwareOptions {
  std::string sysfs = "/sys";
  std::string nvml = Nvml::kLibrary;
};

/// Thread rule: one owner.
class HardwareCounters {
 public:
  /// Takes what there is.
  static HardwareCounters Open(const HardwareOptions& options = {});

  HardwareSample Sample();
  /// A sentence for each thing that isn't there, with the reason.
  const std::vector<std::string>& absent() const { return absent_; }

 private:
  /// An energy counter of Linux' powercap (RAPL): microjoules that start anew at `range`.
  struct Energy {
    std::string file, domain;
    uint64_t range = 0, last = 0;
    double joules = 0;
  };
  struct Sensor {
    std::string file, name;
  };

  void FindEnergy(const std::string& folder);
  void FindSensors(const std::string& folder);

  PerfEvents events_;
  DramCounters dram_;
  std::vector<Energy> energy_;
  std::vector<Sensor> sensors_;
  std::optional<Nvml> nvml_;
  std::vector<std::string> absent_;
};

}  // namespace tern
