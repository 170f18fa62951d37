#include "perf/gpu_sampler.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

constexpr GpuSamplerOptions kAtOnce{
    .interval = std::chrono::milliseconds(1), .settle_seconds = 0, .enough_seconds = 0};
constexpr int kSamples = 5;

// Until its own thread has sampled, too.
void RunWatched(GpuSampler& sampler, double tokens) {
  const int before = sampler.use().samples;
  sampler.Begin();
  while (sampler.use().samples < before + kSamples) std::this_thread::yield();
  sampler.End(tokens);
}

TEST(GpuSampler, EnergyIsWhatTheCounterGainedInTheWatchedTime) {
  GpuSampler sampler(*Nvml::Open(TERN_BUSY_NVML), 0, kAtOnce);
  RunWatched(sampler, 3);
  RunWatched(sampler, 4);
  const GpuUse use = sampler.use();
  // The device says a joule more whenever it is asked: of n samples the last is n - 1 above the
  // first, in each of the two runs.
  EXPECT_GE(use.samples, 2 * kSamples);
  EXPECT_DOUBLE_EQ(use.energy_joules.value(), use.samples - 2);
  EXPECT_EQ(use.tokens, 7);
  EXPECT_DOUBLE_EQ(use.JoulesPerToken().value(), (use.samples - 2) / 7.0);
  EXPECT_DOUBLE_EQ(use.utilization.value(), 0.8);
  EXPECT_DOUBLE_EQ(use.memory_utilization.value(), 0.4);
  EXPECT_NEAR(use.power_watts.value(), 123.456, 1e-9);
  EXPECT_EQ(use.temperature_celsius, 45);
  EXPECT_DOUBLE_EQ(use.clock_hertz.value(), 1.98e9);
  EXPECT_DOUBLE_EQ(use.memory_clock_hertz.value(), 3.201e9);
  EXPECT_EQ(use.memory_used, 700u);
  EXPECT_GT(use.seconds, 0);
  sampler.Reset();
  EXPECT_EQ(sampler.use().samples, 0);
  EXPECT_FALSE(sampler.use().energy_joules || sampler.use().utilization);
}

TEST(GpuSampler, WithoutACounterEnergyIsPowerTimesTime) {
  // Its counter stands still.
  GpuSampler sampler(*Nvml::Open(TERN_FAKE_NVML), 0, kAtOnce);
  RunWatched(sampler, 2);
  const GpuUse use = sampler.use();
  EXPECT_DOUBLE_EQ(use.energy_joules.value(), *use.power_watts * use.seconds);
}

TEST(GpuSampler, WhatADeviceDoesntSayIsAbsent) {
  GpuSampler silent(*Nvml::Open(TERN_FAKE_NVML), 1, kAtOnce);
  RunWatched(silent, 2);
  const GpuUse use = silent.use();
  EXPECT_EQ(use.memory_used, 700u);
  EXPECT_FALSE(use.utilization || use.memory_utilization || use.power_watts || use.energy_joules ||
               use.temperature_celsius || use.clock_hertz || use.memory_clock_hertz ||
               use.JoulesPerToken());
  GpuSampler lost(*Nvml::Open(TERN_FAKE_NVML), 2, kAtOnce);
  lost.Begin();
  lost.End(2);
  EXPECT_EQ(lost.use().samples, 0);
  EXPECT_FALSE(lost.use().memory_used || lost.use().energy_joules);
}

TEST(GpuSampler, MeansOfAMomentBeforeAreLeftOut) {
  // Nothing was watched for an hour yet: utilisation and power may be of another program.
  GpuSampler sampler(
      *Nvml::Open(TERN_BUSY_NVML), 0,
      {.interval = std::chrono::milliseconds(1), .settle_seconds = 3600, .enough_seconds = 3600});
  RunWatched(sampler, 2);
  const GpuUse use = sampler.use();
  EXPECT_FALSE(use.utilization || use.memory_utilization || use.power_watts);
  EXPECT_TRUE(use.energy_joules && use.clock_hertz && use.temperature_celsius);
  EXPECT_FALSE(sampler.Enough());
}

}  // namespace
}  // namespace tern
