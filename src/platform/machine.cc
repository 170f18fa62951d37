#include "platform/machine.h"

#include <unistd.h>

#include <charconv>
#include <fstream>
#include <string_view>

namespace tern {
namespace {

uint64_t PositiveOrZero(long value) { return value > 0 ? static_cast<uint64_t>(value) : 0; }

// The text after "key" and a colon in a file of such lines; "" when there is none.
std::string LineValue(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const size_t colon = line.find(':');
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    if (colon != std::string::npos && begin != std::string::npos) return line.substr(begin);
  }
  return "";
}

// "1234 kB" of a file in /proc.
uint64_t KibLine(const char* path, std::string_view key) {
  const std::string text = LineValue(path, key);
  uint64_t kib = 0;
  std::from_chars(text.data(), text.data() + text.size(), kib);
  return kib * 1024;
}

}  // namespace

CacheSizes DetectCaches() {
  return {PositiveOrZero(::sysconf(_SC_LEVEL1_DCACHE_SIZE)),
          PositiveOrZero(::sysconf(_SC_LEVEL2_CACHE_SIZE)),
          PositiveOrZero(::sysconf(_SC_LEVEL3_CACHE_SIZE))};
}

std::string CpuName() {
  const std::string name = LineValue("/proc/cpuinfo", "model name");
  return name.empty() ? "unknown CPU" : name;
}

ProcessMemory ReadProcessMemory() {
  constexpr const char* kStatus = "/proc/self/status";
  return {KibLine(kStatus, "VmRSS"), KibLine(kStatus, "RssAnon"), KibLine(kStatus, "VmHWM")};
}

uint64_t AvailableMemory() { return KibLine("/proc/meminfo", "MemAvailable"); }

}  // namespace tern
