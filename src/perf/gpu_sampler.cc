#include "perf/gpu_sampler.h"

#include <algorithm>

namespace tern {
namespace {

double Seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

std::optional<double> GpuUse::JoulesPerToken() const {
  return energy_joules && tokens > 0 ? std::optional(*energy_joules / tokens) : std::nullopt;
}

void GpuSampler::Mean::Add(std::optional<double> value) {
  if (!value) return;
  sum += *value;
  ++count;
}

std::optional<double> GpuSampler::Mean::value() const {
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

GpuSampler::GpuSampler(Nvml nvml, int device, const GpuSamplerOptions& options)
    : nvml_(std::move(nvml)), device_(device), options_(options), thread_([this] { Watch(); }) {}

GpuSampler::~GpuSampler() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void GpuSampler::Reset() {
  const std::lock_guard lock(mutex_);
  sums_ = {};
}

void GpuSampler::Begin() {
  {
    const std::lock_guard lock(mutex_);
    begin_ = Clock::now();
    energy_begin_ = Take();
    active_ = true;
  }
  changed_.notify_all();
}

void GpuSampler::End(double tokens) {
  const std::lock_guard lock(mutex_);
  const std::optional<double> energy = Take();
  active_ = false;
  sums_.seconds += Seconds(Clock::now() - begin_);
  sums_.tokens += tokens;
  // A counter that fell began anew.
  if (energy && energy_begin_ && *energy >= *energy_begin_)
    sums_.energy += *energy - *energy_begin_;
  else
    sums_.energy_known = false;
}

bool GpuSampler::Enough() const {
  const std::lock_guard lock(mutex_);
  return sums_.seconds >= options_.enough_seconds;
}

GpuUse GpuSampler::use() const {
  const std::lock_guard lock(mutex_);
  GpuUse use{.utilization = sums_.utilization.value(),
             .memory_utilization = sums_.memory_utilization.value(),
             .power_watts = sums_.power.value(),
             .energy_joules = {},
             .temperature_celsius = sums_.temperature,
             .clock_hertz = sums_.clock.value(),
             .memory_clock_hertz = sums_.memory_clock.value(),
             .memory_used = sums_.memory,
             .seconds = sums_.seconds,
             .tokens = sums_.tokens,
             .samples = sums_.samples};
  if (sums_.energy_known && sums_.energy > 0)
    use.energy_joules = sums_.energy;
  else if (use.power_watts)
    use.energy_joules = *use.power_watts * sums_.seconds;
  return use;
}

void GpuSampler::Watch() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait(lock, [this] { return active_ || stopping_; });
    changed_.wait_for(lock, options_.interval, [this] { return !active_ || stopping_; });
    if (active_ && !stopping_) Take();
  }
}

std::optional<double> GpuSampler::Take() {
  const auto sample = nvml_.Sample(device_);
  if (!sample) return std::nullopt;
  ++sums_.samples;
  const double watched = sums_.seconds + (active_ ? Seconds(Clock::now() - begin_) : 0);
  if (watched >= options_.settle_seconds) {
    sums_.utilization.Add(sample->utilization);
    sums_.memory_utilization.Add(sample->memory_utilization);
    sums_.power.Add(sample->power_watts);
  }
  sums_.clock.Add(sample->clock_hertz);
  sums_.memory_clock.Add(sample->memory_clock_hertz);
  if (sample->temperature_celsius)
    sums_.temperature = std::max(sums_.temperature.value_or(*sample->temperature_celsius),
                                 *sample->temperature_celsius);
  if (sample->memory_used) sums_.memory = std::max(sums_.memory.value_or(0), *sample->memory_used);
  return sample->energy_joules;
}

}  // namespace tern
