#include "platform/cpu_set.h"

#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

namespace tern {
namespace {

constexpr int kMostCpus = 1 << 16;

struct FreeMask {
  void operator()(cpu_set_t* mask) const { CPU_FREE(mask); }
};

// The kernel refuses masks that are smaller than its own.
std::vector<int> AffinityMask() {
  for (int cpus = CPU_SETSIZE; cpus <= kMostCpus; cpus *= 2) {
    const std::unique_ptr<cpu_set_t, FreeMask> mask(CPU_ALLOC(static_cast<size_t>(cpus)));
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(cpus));
    if (!mask || ::sched_getaffinity(0, bytes, mask.get()) != 0) continue;
    std::vector<int> usable;
    for (int cpu = 0; cpu < cpus; ++cpu)
      if (CPU_ISSET_S(static_cast<size_t>(cpu), bytes, mask.get())) usable.push_back(cpu);
    return usable;
  }
  return {};
}

}  // namespace

std::vector<int> UsableCpus() {
  std::vector<int> cpus = AffinityMask();
  if (!cpus.empty()) return cpus;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
    cpus.push_back(static_cast<int>(i));
  return cpus;
}

int CpusOfQuota(const std::string& cpu_max) {
  std::istringstream text(cpu_max);
  int64_t quota = 0, period = 0;
  if (!(text >> quota >> period) || quota <= 0 || period <= 0) return 0;
  return static_cast<int>(std::min<int64_t>((quota - 1) / period + 1, kMostCpus));
}

int UsableCpuCount() {
  const auto cpus = static_cast<int>(UsableCpus().size());
  std::string line;
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::getline(file, line);
  const int paid = CpusOfQuota(line);
  return paid > 0 ? std::min(cpus, paid) : cpus;
}

void BindToCpus(const std::vector<int>& cpus) {
  const auto count = static_cast<size_t>(*std::max_element(cpus.begin(), cpus.end())) + 1;
  const std::unique_ptr<cpu_set_t, FreeMask> mask(CPU_ALLOC(count));
  if (!mask) return;
  const size_t bytes = CPU_ALLOC_SIZE(count);
  CPU_ZERO_S(bytes, mask.get());
  for (const int cpu : cpus) CPU_SET_S(static_cast<size_t>(cpu), bytes, mask.get());
  ::sched_setaffinity(0, bytes, mask.get());
}

}  // namespace tern
