// Which machine and which build a figure comes from.
#pragma once

#include <string>

#include "platform/machine.h"

namespace tern {

/// What a text says is "" when the system doesn't tell, a number then is 0.
struct MachineFingerprint {
  std::string cpu;       // as the manufacturer writes it
  std::string features;  // as DescribeCpu does
  int cpus = 0;          // that this process may use
  CacheSizes caches;
  std::string memory;  // "4 x DDR5 4800 MT/s"; known only to who may read the firmware's table
  uint64_t memory_bytes = 0;
  std::string gpu, gpu_driver;
  std::string governor;  // of the first CPU's clock
  std::string system;    // "Linux 6.1.0"

  /// What must be equal for two figures to be comparable, as one line.
  std::string Key() const;
  bool operator==(const MachineFingerprint& other) const { return Key() == other.Key(); }
};

/// Reads what the system says about this machine. `root` stands before the paths of /proc and /sys:
/// for tests.
MachineFingerprint ReadFingerprint(const std::string& root = "");

/// The memory modules of an SMBIOS table (DSP0134, type 17), "4 x DDR5 4800 MT/s"; "" when it holds
/// none, or is cut short.
std::string DescribeMemoryModules(std::string_view smbios);

struct BuildFacts {
  std::string version, compiler, flags;
};
/// Of the program that runs.
BuildFacts ThisBuild();

}  // namespace tern
