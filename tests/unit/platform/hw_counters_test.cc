// Counters over a made-up /sys, and over this machine, whatever it has.
#include "platform/hw_counters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

namespace tern {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;

class HardwareCountersTest : public testing::Test {
 protected:
  HardwareCountersTest() : sys_(testing::TempDir() + "/tern_sys_" + std::to_string(::getpid())) {
    fs::remove_all(sys_);
  }
  ~HardwareCountersTest() override { fs::remove_all(sys_); }

  void Write(const std::string& file, const std::string& text) {
    const fs::path path = sys_ / "class" / file;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text << "\n";
  }
  void Zone(const std::string& id, const std::string& name, const std::string& energy) {
    Write("powercap/" + id + "/name", name);
    Write("powercap/" + id + "/max_energy_range_uj", "1000000");
    Write("powercap/" + id + "/energy_uj", energy);
  }
  HardwareCounters Open(const char* nvml = "libthere-is-none.so.1") {
    return HardwareCounters::Open({.sysfs = sys_.string(), .nvml = nvml});
  }

  const fs::path sys_;
};

TEST_F(HardwareCountersTest, NothingThereIsAbsentAndSaysWhy) {
  auto counters = Open();
  EXPECT_THAT(counters.absent(), Contains(HasSubstr("energy: no RAPL zone in")));
  EXPECT_THAT(counters.absent(), Contains(HasSubstr("temperatures: no thermal zone in")));
  EXPECT_THAT(counters.absent(), Contains(HasSubstr("NVML: ")));
  const HardwareSample sample = counters.Sample();
  EXPECT_TRUE(sample.energy.empty() && sample.temperatures.empty() && sample.gpus.empty());
}

TEST_F(HardwareCountersTest, EnergyIsCountedAcrossTheCountersEnd) {
  Zone("intel-rapl:0", "package-0", "900000");
  Zone("intel-rapl:0:0", "dram", "5");
  Zone("intel-rapl:1", "package-1", "nonsense");
  auto counters = Open();
  EXPECT_EQ(counters.Sample().energy.at(0).joules, 0);
  Write("powercap/intel-rapl:0/energy_uj", "950000");
  EXPECT_DOUBLE_EQ(counters.Sample().energy.at(0).joules, 0.05);
  Write("powercap/intel-rapl:0/energy_uj", "100000");  // 50000 up to the range, then 100000
  const auto energy = counters.Sample().energy;
  ASSERT_EQ(energy.size(), 2u);
  EXPECT_EQ(energy[0].domain, "package-0");
  EXPECT_DOUBLE_EQ(energy[0].joules, 0.2);
  EXPECT_EQ(energy[1].domain, "package-0/dram");
  EXPECT_EQ(energy[1].joules, 0);
  fs::remove(sys_ / "class/powercap/intel-rapl:0/energy_uj");
  EXPECT_EQ(counters.Sample().energy.size(), 1u);  // gone is absent
}

TEST_F(HardwareCountersTest, MemoryControllersAreFoundOnceASocket) {
  const auto controller = [&](const std::string& file, const std::string& text) {
    Write("../bus/event_source/devices/uncore_imc_0/" + file, text);
  };
  EXPECT_THAT(Open().absent(), Contains(HasSubstr("memory traffic: no uncore_imc in")));
  controller("type", "14");
  controller("cpumask", "0,32");
  controller("format/event", "config:0-7");
  controller("format/umask", "config:8-15");
  controller("events/cas_count_read", "event=0x05,umask=0xcf");
  controller("events/cas_count_read.scale", "6.103515625e-5");
  controller("events/cas_count_read.unit", "MiB");
  controller("events/cas_count_write", "event=0x05,umask=0xf0");
  controller("events/cas_count_write.scale", "6.103515625e-5");
  controller("events/cas_count_write.unit", "MiB");
  controller("events/clockticks", "event=0x01");
  const auto events = FindDramEvents(sys_.string());
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].name, "uncore_imc_0/cas_count_read");
  EXPECT_EQ(events[0].type, 14u);
  EXPECT_EQ(events[0].config, 0xcf05u);
  EXPECT_EQ(events[0].bytes, 64);  // a line of a cache
  EXPECT_EQ(events[0].cpu, 0);
  EXPECT_EQ(events[1].cpu, 32);
  EXPECT_FALSE(events[1].write);
  EXPECT_TRUE(events[2].write);
  EXPECT_EQ(events[2].config, 0xf005u);
  // What the kernel's table doesn't place, or what has no size, is left out, not guessed.
  controller("events/cas_count_write.unit", "Joules");
  EXPECT_EQ(FindDramEvents(sys_.string()).size(), 2u);
  controller("events/cas_count_read", "event=0x05,mystery=0x1");
  EXPECT_TRUE(FindDramEvents(sys_.string()).empty());
}

TEST_F(HardwareCountersTest, MemoryTrafficIsAbsentWhereItCannotBeCounted) {
  Write("../bus/event_source/devices/uncore_imc/type", "4000000000");  // of no controller
  Write("../bus/event_source/devices/uncore_imc/cpumask", "0");
  Write("../bus/event_source/devices/uncore_imc/format/event", "config:0-7");
  Write("../bus/event_source/devices/uncore_imc/events/data_reads", "event=0x01");
  Write("../bus/event_source/devices/uncore_imc/events/data_reads.scale", "0.00006103515625");
  Write("../bus/event_source/devices/uncore_imc/events/data_reads.unit", "MiB");
  auto counters = Open();
  EXPECT_THAT(counters.absent(),
              Contains(HasSubstr("memory traffic: uncore_imc/data_reads: perf_event_open")));
  const DramBytes bytes = counters.Sample().dram;
  EXPECT_FALSE(bytes.read || bytes.written);
}

TEST_F(HardwareCountersTest, ThermalZonesHaveTheirTypes) {
  Write("thermal/thermal_zone0/type", "x86_pkg_temp");
  Write("thermal/thermal_zone0/temp", "45500");
  Write("thermal/thermal_zone1/type", "x86_pkg_temp");
  Write("thermal/thermal_zone1/temp", "-3000");
  Write("thermal/thermal_zone2/type", "dead");
  auto counters = Open();
  const auto found = counters.Sample().temperatures;
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].sensor, "x86_pkg_temp");
  EXPECT_EQ(found[0].celsius, 45.5);
  EXPECT_EQ(found[1].sensor, "x86_pkg_temp-2");
  EXPECT_EQ(found[1].celsius, -3);
}

TEST_F(HardwareCountersTest, GpusAreAllThere) {
  const auto gpus = Open(TERN_FAKE_NVML).Sample().gpus;
  ASSERT_EQ(gpus.size(), 3u);
  EXPECT_EQ(gpus[0].utilization, 0.8);
  EXPECT_FALSE(gpus[1].utilization);
  EXPECT_FALSE(gpus[2].memory_used);  // lost
}

// Each counter either counts or says why not.
TEST(PerfEvents, CountOrSayWhyNot) {
  const PerfEvents events = PerfEvents::Open();
  volatile uint64_t sum = 0;
  for (uint64_t i = 0; i < 1000000; ++i) sum = sum + i;
  std::thread([&] {
    for (uint64_t i = 0; i < 1000000; ++i) sum = sum + i;
  }).join();
  const CpuCounts counts = events.Read();
  const int there = counts.cycles.has_value() + counts.instructions.has_value() +
                    counts.l1_misses.has_value() + counts.l2_misses.has_value() +
                    counts.llc_misses.has_value();
  EXPECT_EQ(there + static_cast<int>(events.absent().size()), 5);
  EXPECT_GT(counts.instructions.value_or(1e9), 4e6);  // the other thread's too
}

}  // namespace
}  // namespace tern
