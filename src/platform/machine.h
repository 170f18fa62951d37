// What the operating system says about the machine and this process.
#pragma once

#include <cstdint>
#include <string>

namespace tern {

/// Bytes; 0 where the system doesn't say. l1d and l2 are those of one core, l3 is shared.
struct CacheSizes {
  uint64_t l1d = 0, l2 = 0, l3 = 0;
};
CacheSizes DetectCaches();

/// As the manufacturer writes it, e.g. in /proc/cpuinfo; "unknown CPU" when nothing says.
std::string CpuName();

/// Memory of this process, in bytes; 0 when the system doesn't say.
struct ProcessMemory {
  uint64_t resident = 0;   // now, mapped files included
  uint64_t anonymous = 0;  // of it: allocated, not backed by a file
  uint64_t peak = 0;       // the highest `resident` so far
};
ProcessMemory ReadProcessMemory();

/// Bytes that programs can still get without swapping; 0 when the system doesn't say.
uint64_t AvailableMemory();

}  // namespace tern
