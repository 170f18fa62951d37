#include "perf/fingerprint.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace tern {
namespace {

namespace fs = std::filesystem;

// A structure of type 17 as DSP0134 lays it out: size, type and both speeds, then two texts.
std::string MemoryDevice(int size, int type, int speed, int configured) {
  std::string s(0x28, '\0');
  const auto word = [&](size_t at, int value) {
    s[at] = static_cast<char>(value & 0xff);
    s[at + 1] = static_cast<char>(value >> 8);
  };
  s[0] = 17;
  s[1] = 0x28;
  word(0x0c, size);
  s[0x12] = static_cast<char>(type);
  word(0x15, speed);
  word(0x20, configured);
  return s + std::string("DIMM A\0Vendor\0\0", 15);
}

TEST(Fingerprint, MemoryModulesComeFromTheFirmwaresTable) {
  const std::string other("\x01\x06\0\0ab\0\0", 8);  // a structure without texts
  const std::string end("\x7f\x04\0\0\0\0", 6);
  EXPECT_EQ(DescribeMemoryModules(other + MemoryDevice(16384, 0x22, 5600, 4800) +
                                  MemoryDevice(0, 0x22, 0, 0) +  // an empty slot
                                  MemoryDevice(16384, 0x22, 5600, 4800) + end),
            "2 x DDR5 4800 MT/s");
  EXPECT_EQ(
      DescribeMemoryModules(MemoryDevice(8192, 0x1a, 3200, 0) + MemoryDevice(8192, 0x07, 0, 0)),
      "1 x DDR4 3200 MT/s, 1 x memory");
  EXPECT_EQ(DescribeMemoryModules(""), "");
  const std::string whole = MemoryDevice(8192, 0x1a, 3200, 3200);
  for (size_t cut = 0; cut < 0x28; ++cut)
    EXPECT_EQ(DescribeMemoryModules(whole.substr(0, cut)), "");
}

TEST(Fingerprint, ReadsWhatProcAndSysSay) {
  const fs::path root =
      fs::temp_directory_path() / ("tern_fingerprint_" + std::to_string(::getpid()));
  const auto write = [&](const std::string& path, const std::string& text) {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  };
  write("proc/meminfo", "MemFree: 1 kB\nMemTotal:       16000 kB\n");
  write("proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5\nGCC version:\n");
  for (const char* card : {"0", "1"})
    write(std::string("proc/driver/nvidia/gpus/") + card + "/information",
          "Model: \t\t NVIDIA H200\nIRQ:   12\n");
  write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
  const MachineFingerprint machine = ReadFingerprint(root.string());
  fs::remove_all(root);
  EXPECT_EQ(machine.memory_bytes, 16000u * 1024);
  EXPECT_EQ(machine.gpu, "2 x NVIDIA H200");
  EXPECT_EQ(machine.gpu_driver, "550.54.15");
  EXPECT_EQ(machine.governor, "powersave");
  EXPECT_GT(machine.cpus, 0);
  EXPECT_FALSE(machine.cpu.empty());
  const MachineFingerprint bare = ReadFingerprint("/nowhere");
  EXPECT_EQ(bare.gpu + bare.gpu_driver + bare.governor + bare.memory, "");
  EXPECT_FALSE(bare == machine);
  EXPECT_TRUE(bare == ReadFingerprint("/nowhere"));
}

TEST(Fingerprint, TheBuildIsKnown) {
  EXPECT_FALSE(ThisBuild().version.empty());
  EXPECT_FALSE(ThisBuild().compiler.empty());
}

}  // namespace
}  // namespace tern
