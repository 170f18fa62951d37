#include "perf/fingerprint.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>

#include "platform/cpu_features.h"
#include "platform/cpu_set.h"

namespace tern {
namespace {

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The text behind "key:" in the first line that begins with it.
std::string Field(const std::string& text, std::string_view key) {
  for (size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
    if (at > 0 && text[at - 1] != '\n') continue;
    const size_t begin = text.find_first_not_of(": \t", at + key.size());
    if (begin == std::string::npos) return "";
    return text.substr(begin, text.find('\n', begin) - begin);
  }
  return "";
}

// Names of the cards, as NVIDIA's kernel module lists them.
std::string Gpus(const std::string& root) {
  std::map<std::string, int> names;
  std::error_code ec;
  for (const auto& card :
       std::filesystem::directory_iterator(root + "/proc/driver/nvidia/gpus", ec))
    ++names[Field(Content(card.path().string() + "/information"), "Model")];
  std::string out;
  for (const auto& [name, count] : names)
    out += fmt::format("{}{} x {}", out.empty() ? "" : ", ", count, name);
  return out;
}

// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  ..." -> "550.54.15".
std::string GpuDriver(const std::string& root) {
  const std::string line = FirstLine(root + "/proc/driver/nvidia/version");
  for (size_t at = line.find("  "); at != std::string::npos; at = line.find("  ", at + 1)) {
    const size_t begin = line.find_first_not_of(' ', at);
    if (begin == std::string::npos) break;
    if (line[begin] >= '0' && line[begin] <= '9')
      return line.substr(begin, line.find(' ', begin) - begin);
  }
  return "";
}

std::string System() {
  utsname name{};
  return ::uname(&name) == 0 ? fmt::format("{} {}", name.sysname, name.release) : "";
}

std::string_view MemoryTypeName(int type) {  // DSP0134, 7.18.2
  switch (type) {
    case 0x18:
      return "DDR3";
    case 0x1a:
      return "DDR4";
    case 0x1e:
      return "LPDDR4";
    case 0x20:
    case 0x21:
      return "HBM";
    case 0x22:
      return "DDR5";
    case 0x23:
      return "LPDDR5";
    default:
      return "memory";
  }
}

}  // namespace

std::string DescribeMemoryModules(std::string_view smbios) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(smbios[at]); };
  const auto word = [&](size_t at) { return byte(at) | byte(at + 1) << 8; };
  constexpr int kMemoryDevice = 17;
  std::map<std::string, int> modules;
  size_t at = 0;
  while (at + 4 <= smbios.size()) {
    const size_t length = byte(at + 1);
    if (length < 4 || at + length > smbios.size()) break;
    if (byte(at) == kMemoryDevice && length >= 0x17 && word(at + 0x0c) != 0) {
      // The speed it runs at, where the table is new enough to say; else the one it is made for.
      const int configured = length >= 0x22 ? word(at + 0x20) : 0;
      const int speed = configured > 0 ? configured : word(at + 0x15);
      ++modules[speed > 0 ? fmt::format("{} {} MT/s", MemoryTypeName(byte(at + 0x12)), speed)
                          : std::string(MemoryTypeName(byte(at + 0x12)))];
    }
    // The texts of a structure end with two zeros.
    const size_t end = smbios.find(std::string_view("\0\0", 2), at + length);
    if (end == std::string_view::npos) break;
    at = end + 2;
  }
  std::string out;
  for (const auto& [module, count] : modules)
    out += fmt::format("{}{} x {}", out.empty() ? "" : ", ", count, module);
  return out;
}

std::string MachineFingerprint::Key() const {
  return fmt::format("{}|{}|{}|{}/{}/{}|{}|{}|{}|{}", cpu, features, cpus, caches.l1d, caches.l2,
                     caches.l3, memory, gpu, gpu_driver, governor);
}

MachineFingerprint ReadFingerprint(const std::string& root) {
  MachineFingerprint machine;
  machine.cpu = CpuName();
  machine.features = DescribeCpu(DetectCpu());
  machine.cpus = static_cast<int>(UsableCpus().size());
  machine.caches = DetectCaches();
  machine.memory = DescribeMemoryModules(Content(root + "/sys/firmware/dmi/tables/DMI"));
  const std::string total = Field(Content(root + "/proc/meminfo"), "MemTotal");
  machine.memory_bytes = std::strtoull(total.c_str(), nullptr, 10) * 1024;
  machine.gpu = Gpus(root);
  machine.gpu_driver = GpuDriver(root);
  machine.governor = FirstLine(root + "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  machine.system = System();
  return machine;
}

}  // namespace tern
