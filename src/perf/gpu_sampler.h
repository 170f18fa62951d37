// What a GPU did while something ran.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "platform/nvml.h"

namespace tern {

/// What the library or the device doesn't say is absent, and so is what too short a time can't
/// tell.
struct GpuUse {
  std::optional<double> utilization;          // mean share of the time in which kernels ran
  std::optional<double> memory_utilization;   // ... in which its memory was read or written
  std::optional<double> power_watts;          // mean
  std::optional<double> energy_joules;        // over `seconds`
  std::optional<double> temperature_celsius;  // highest
  std::optional<double> clock_hertz;          // mean, of the multiprocessors
  std::optional<double> memory_clock_hertz;   // mean
  std::optional<uint64_t> memory_used;        // most, bytes, the driver's and other programs' too
  double seconds = 0;                         // that were watched
  double tokens = 0;                          // that were computed in them
  int samples = 0;

  std::optional<double> JoulesPerToken() const;
};

struct GpuSamplerOptions {
  std::chrono::milliseconds interval{50};
  /// NVML's utilisation and power are means over up to the last second (NVIDIA, NVML API
  /// reference): those sampled before that much was watched tell of what went before, and are left
  /// out.
  double settle_seconds = 1;
  double enough_seconds = 1.5;
};

/// Samples between Begin and End, at both and in between. Energy is the difference of the device's
/// counter, or the mean power times the time where it has none.
/// Thread rule: one owner; a thread of its own samples.
class GpuSampler {
 public:
  GpuSampler(Nvml nvml, int device, const GpuSamplerOptions& options = {});
  ~GpuSampler();
  GpuSampler(const GpuSampler&) = delete;
  GpuSampler& operator=(const GpuSampler&) = delete;

  /// Forgets what was watched.
  void Reset();
  void Begin();
  /// tokens: computed since Begin.
  void End(double tokens);
  /// Enough was watched for every figure.
  bool Enough() const;
  GpuUse use() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Mean {
    double sum = 0;
    int count = 0;
    void Add(std::optional<double> value);
    std::optional<double> value() const;
  };
  struct Sums {
    Mean utilization, memory_utilization, power, clock, memory_clock;
    std::optional<double> temperature;
    std::optional<uint64_t> memory;
    double energy = 0, seconds = 0, tokens = 0;
    bool energy_known = true;
    int samples = 0;
  };

  void Watch();
  /// The energy counter, when there is one. Holds the lock.
  std::optional<double> Take();

  const Nvml nvml_;
  const int device_;
  const GpuSamplerOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool active_ = false, stopping_ = false;
  Clock::time_point begin_;
  std::optional<double> energy_begin_;
  Sums sums_;
  std::thread thread_;
};

}  // namespace tern
