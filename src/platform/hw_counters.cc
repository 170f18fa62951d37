#include "platform/hw_counters.h"

#include <fmt/format.h>

#include <map>

#include "platform/sysfs.h"

namespace tern {

namespace fs = std::filesystem;

HardwareCounters HardwareCounters::Open(const HardwareOptions& options) {
  HardwareCounters result;
  result.events_ = PerfEvents::Open();
  result.absent_ = result.events_.absent();
  result.dram_ = DramCounters::Open(options.sysfs);
  if (!result.dram_.absent().empty()) result.absent_.push_back(result.dram_.absent());
  result.FindEnergy(options.sysfs + "/class/powercap");
  result.FindSensors(options.sysfs + "/class/thermal");
  auto nvml = Nvml::Open(options.nvml);
  if (nvml)
    result.nvml_ = *std::move(nvml);
  else
    result.absent_.push_back(nvml.error().message);
  return result;
}

// Zones are intel-rapl:0 (package-0) and parts of them, intel-rapl:0:1; AMD's go by the same name.
void HardwareCounters::FindEnergy(const std::string& folder) {
  std::map<std::string, std::string> names;
  std::string problem;
  for (const fs::path& zone : EntriesOf(folder, "intel-rapl:")) {
    const std::string id = zone.filename();
    std::string domain = FirstLine(zone / "name").value_or(id);
    names[id] = domain;
    if (const auto parent = names.find(id.substr(0, id.rfind(':'))); parent != names.end())
      domain = parent->second + "/" + domain;
    const fs::path file = zone / "energy_uj";
    const auto now = ReadNumber<uint64_t>(file);
    const auto range = ReadNumber<uint64_t>(zone / "max_energy_range_uj");
    if (now && range)
      energy_.push_back({file, domain, *range, *now, 0});
    else
      problem = file.string() + " can't be read (root may)";
  }
  if (energy_.empty())
    absent_.push_back("energy: " + (problem.empty() ? "no RAPL zone in " + folder : problem));
}

void HardwareCounters::FindSensors(const std::string& folder) {
  std::map<std::string, int> count;
  for (const fs::path& zone : EntriesOf(folder, "thermal_zone")) {
    if (!ReadNumber<int64_t>(zone / "temp")) continue;
    std::string name = FirstLine(zone / "type").value_or(zone.filename().string());
    if (const int before = count[name]++; before > 0) name += fmt::format("-{}", before + 1);
    sensors_.push_back({zone / "temp", name});
  }
  if (sensors_.empty()) absent_.push_back("temperatures: no thermal zone in " + folder);
}

HardwareSample HardwareCounters::Sample() {
  constexpr double kMicro = 1e-6, kMilli = 1e-3;
  HardwareSample sample;
  sample.cpu = events_.Read();
  sample.dram = dram_.Read();
  for (Energy& energy : energy_) {
    const auto now = ReadNumber<uint64_t>(energy.file);
    if (!now) continue;
    const uint64_t added =
        *now >= energy.last ? *now - energy.last : *now + (energy.range - energy.last);
    energy.last = *now;
    energy.joules += static_cast<double>(added) * kMicro;
    sample.energy.push_back({energy.domain, energy.joules});
  }
  for (const Sensor& sensor : sensors_)
    if (const auto now = ReadNumber<int64_t>(sensor.file))
      sample.temperatures.push_back({sensor.name, static_cast<double>(*now) * kMilli});
  for (int i = 0; nvml_ && i < nvml_->devices(); ++i)
    sample.gpus.push_back(nvml_->Sample(i).value_or(GpuSample{}));
  return sample;
}

}  // namespace tern
