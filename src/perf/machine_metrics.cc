#include "perf/machine_metrics.h"

#include <fmt/format.h>

namespace tern {
namespace {

// The energy of a token is that of an interval with at least so many.
constexpr double kFewestTokens = 16;
constexpr double kLongestInterval = 60;  // seconds; with fewer tokens there is none

std::string Key(const std::string& name, const MetricLabels& labels) {
  std::string key = name;
  for (const auto& [label, value] : labels) key += " " + value;
  return key;
}

// Domains that aren't part of another one that is counted: packages, and the memory beside them.
bool IsWhole(const std::string& domain) {
  return domain.find('/') == std::string::npos ? domain.starts_with("package")
                                               : domain.ends_with("/dram");
}

}  // namespace

void MachineMetrics::Set(const MetricInfo& info, const MetricLabels& labels,
                         std::optional<double> value) {
  Gauge*& gauge = gauges_[Key(info.name, labels)];
  if (gauge == nullptr) {
    if (!value) return;
    gauge = &registry_.AddGauge(info, labels);
  }
  gauge->Set(value);
}

void MachineMetrics::Count(const MetricInfo& info, const MetricLabels& labels,
                           std::optional<double> total) {
  if (!total) return;
  Counter*& counter = counters_[Key(info.name, labels)];
  if (counter == nullptr) counter = &registry_.AddCounter(info, labels);
  counter->Set(*total);
}

void MachineMetrics::PublishCpu(const CpuCounts& cpu) {
  Count({"tern_cpu_cycles_total", "Cycles of the process in user space.", "cycles"}, {},
        cpu.cycles);
  Count(
      {"tern_cpu_instructions_total", "Instructions of the process in user space.", "instructions"},
      {}, cpu.instructions);
  const MetricInfo misses = {"tern_cpu_cache_misses_total",
                             "Cache misses of the process in user space.", "misses"};
  Count(misses, {{"cache", "l1d"}}, cpu.l1_misses);
  Count(misses, {{"cache", "l2"}}, cpu.l2_misses);
  Count(misses, {{"cache", "llc"}}, cpu.llc_misses);
}

void MachineMetrics::PublishDram(const DramBytes& dram) {
  const MetricInfo info = {"tern_dram_bytes_total",
                           "Bytes between the memory and its controllers, of the whole machine.",
                           "bytes"};
  Count(info, {{"direction", "read"}}, dram.read);
  Count(info, {{"direction", "write"}}, dram.written);
}

// The joules of all whole domains and GPUs so far.
double MachineMetrics::PublishEnergy(double now, const std::vector<EnergyReading>& energy) {
  double whole = 0;
  for (const EnergyReading& reading : energy) {
    const MetricLabels labels = {{"domain", reading.domain}};
    Count({"tern_energy_joules_total", "Energy used, from any moment on.", "joules"}, labels,
          reading.joules);
    if (IsWhole(reading.domain) || reading.domain.starts_with("gpu")) whole += reading.joules;
    const auto [at, is_new] = energy_.try_emplace(reading.domain, Reading{now, reading.joules});
    const Reading last = std::exchange(at->second, {now, reading.joules});
    if (!is_new && now > last.time)
      Set({"tern_power_watts", "Mean power between the last two looks.", "watts"}, labels,
          (reading.joules - last.value) / (now - last.time));
  }
  return whole;
}

void MachineMetrics::PublishGpu(const std::string& index, const GpuSample& gpu) {
  const MetricLabels labels = {{"gpu", index}};
  const auto number = [](std::optional<uint64_t> value) {
    return value ? std::optional(static_cast<double>(*value)) : std::nullopt;
  };
  Set({"tern_gpu_utilization_ratio", "Share of the time in which kernels ran.", "ratio"}, labels,
      gpu.utilization);
  Set({"tern_gpu_memory_utilization_ratio", "Share of the time in which memory was accessed.",
       "ratio"},
      labels, gpu.memory_utilization);
  Set({"tern_gpu_memory_used_bytes", "Memory in use, of all processes.", "bytes"}, labels,
      number(gpu.memory_used));
  Set({"tern_gpu_memory_bytes", "Memory of the device.", "bytes"}, labels,
      number(gpu.memory_total));
  Set({"tern_gpu_power_watts", "Power of the device.", "watts"}, labels, gpu.power_watts);
  Set({"tern_gpu_temperature_celsius", "Temperature of the chip.", "celsius"}, labels,
      gpu.temperature_celsius);
  Set({"tern_gpu_clock_hertz", "Clock of the multiprocessors.", "hertz"}, labels, gpu.clock_hertz);
  Set({"tern_gpu_memory_clock_hertz", "Clock of the memory.", "hertz"}, labels,
      gpu.memory_clock_hertz);
}

void MachineMetrics::Publish(double now, const HardwareSample& sample, double tokens) {
  PublishCpu(sample.cpu);
  PublishDram(sample.dram);
  for (const TemperatureReading& reading : sample.temperatures)
    Set({"tern_temperature_celsius", "Temperature of a thermal zone.", "celsius"},
        {{"sensor", reading.sensor}}, reading.celsius);
  std::vector<EnergyReading> energy = sample.energy;
  for (size_t i = 0; i < sample.gpus.size(); ++i) {
    const std::string index = fmt::format("{}", i);
    PublishGpu(index, sample.gpus[i]);
    if (sample.gpus[i].energy_joules)
      energy.push_back({"gpu-" + index, *sample.gpus[i].energy_joules});
  }
  const double joules = PublishEnergy(now, energy);
  if (energy.empty()) return;
  if (!energy_since_) {
    energy_since_ = {now, joules};
    tokens_since_ = tokens;
  }
  const bool enough = tokens - tokens_since_ >= kFewestTokens;
  if (!enough && now - energy_since_->time < kLongestInterval) return;
  Set({"tern_energy_per_token_joules",
       "Energy of the machine's processors and GPUs per generated token, lately.", "joules"},
      {},
      enough ? std::optional((joules - energy_since_->value) / (tokens - tokens_since_))
             : std::nullopt);
  energy_since_ = {now, joules};
  tokens_since_ = tokens;
}

}  // namespace tern
