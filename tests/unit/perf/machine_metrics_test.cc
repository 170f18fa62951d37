#include "perf/machine_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Render(const MetricRegistry& registry) {
  PrometheusText out;
  registry.Render(out);
  return out.Take();
}

TEST(MachineMetrics, WhatIsNotThereIsNotInTheText) {
  MetricRegistry registry;
  MachineMetrics metrics(registry);
  for (double now = 0; now < 200; now += 10) metrics.Publish(now, {}, now);
  EXPECT_EQ(Render(registry), "");
}

TEST(MachineMetrics, EnergyIsPowerAndEnergyPerToken) {
  MetricRegistry registry;
  MachineMetrics metrics(registry);
  HardwareSample sample;
  sample.energy = {{"package-0", 100}, {"package-0/core", 60}, {"package-0/dram", 10}};
  metrics.Publish(1000, sample, 0);
  EXPECT_THAT(Render(registry), Not(HasSubstr("tern_power_watts")));
  sample.energy = {{"package-0", 180}, {"package-0/core", 120}, {"package-0/dram", 20}};
  metrics.Publish(1002, sample, 30);
  const std::string text = Render(registry);
  EXPECT_THAT(text, HasSubstr("tern_power_watts{domain=\"package-0\"} 40\n"));
  EXPECT_THAT(text, HasSubstr("tern_power_watts{domain=\"package-0/dram\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("tern_energy_joules_total{domain=\"package-0/core\"} 120\n"));
  // Cores are part of the package: (80 + 10) / 30.
  EXPECT_THAT(text, HasSubstr("tern_energy_per_token_joules 3\n"));
  metrics.Publish(1070, sample, 31);  // a token a minute says nothing
  EXPECT_THAT(Render(registry), Not(HasSubstr("tern_energy_per_token_joules")));
}

TEST(MachineMetrics, GpusHaveNumbersAndGapsOfTheirOwn) {
  MetricRegistry registry;
  MachineMetrics metrics(registry);
  HardwareSample sample;
  sample.gpus.resize(2);
  sample.gpus[0].utilization = 0.5;
  sample.gpus[0].memory_used = 1024;
  sample.gpus[1].utilization = 0.0;
  metrics.Publish(0, sample, 0);
  std::string text = Render(registry);
  EXPECT_THAT(text, HasSubstr("tern_gpu_utilization_ratio{gpu=\"0\"} 0.5\n"));
  EXPECT_THAT(text, HasSubstr("tern_gpu_utilization_ratio{gpu=\"1\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("tern_gpu_memory_used_bytes{gpu=\"0\"} 1024\n"));
  EXPECT_THAT(text, Not(HasSubstr("tern_gpu_memory_used_bytes{gpu=\"1\"}")));
  sample.gpus[0] = {};  // lost
  metrics.Publish(1, sample, 0);
  text = Render(registry);
  EXPECT_THAT(text, Not(HasSubstr("{gpu=\"0\"}")));
  EXPECT_THAT(text, HasSubstr("tern_gpu_utilization_ratio{gpu=\"1\"} 0\n"));
}

TEST(MachineMetrics, CountsOfTheProcessor) {
  MetricRegistry registry;
  MachineMetrics metrics(registry);
  HardwareSample sample;
  sample.cpu.cycles = 5;
  sample.cpu.l2_misses = 8;
  sample.cpu.llc_misses = 7;
  sample.dram.read = 4096;
  metrics.Publish(0, sample, 0);
  const std::string text = Render(registry);
  EXPECT_THAT(text, HasSubstr("tern_cpu_cycles_total 5\n"));
  EXPECT_THAT(text, HasSubstr("tern_cpu_cache_misses_total{cache=\"llc\"} 7\n"));
  EXPECT_THAT(text, HasSubstr("tern_cpu_cache_misses_total{cache=\"l2\"} 8\n"));
  EXPECT_THAT(text, HasSubstr("tern_dram_bytes_total{direction=\"read\"} 4096\n"));
  EXPECT_THAT(text, Not(HasSubstr("{direction=\"write\"}")));
  EXPECT_THAT(text, Not(HasSubstr("instructions")));
}

}  // namespace
}  // namespace tern
