#include "platform/perf_events.h"

#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <utility>

namespace tern {
namespace {

constexpr uint64_t CacheMisses(uint64_t cache) {
  return cache | uint64_t{PERF_COUNT_HW_CACHE_OP_READ} << 8 |
         uint64_t{PERF_COUNT_HW_CACHE_RESULT_MISS} << 16;
}

struct Kind {
  const char* name;
  uint32_t type;
  uint64_t config;
  std::optional<double> CpuCounts::*field;
};
constexpr uint64_t kOfThisProcessor = 0;  // a raw event that Level2Misses() knows
constexpr Kind kKinds[] = {
    {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, &CpuCounts::cycles},
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, &CpuCounts::instructions},
    {"level 1 misses", PERF_TYPE_HW_CACHE, CacheMisses(PERF_COUNT_HW_CACHE_L1D),
     &CpuCounts::l1_misses},
    {"level 2 misses", PERF_TYPE_RAW, kOfThisProcessor, &CpuCounts::l2_misses},
    {"last level misses", PERF_TYPE_HW_CACHE, CacheMisses(PERF_COUNT_HW_CACHE_LL),
     &CpuCounts::llc_misses},
};

// Linux has no general name for these. Intel's L2_RQSTS.MISS is one event from Haswell on, which
// AVX2 stands for, but not on the small cores of hybrids; AMD's misses of instructions and data
// from Zen on (pmu-events of Linux' tools/perf).
std::optional<uint64_t> Level2Misses() {
#if defined(__x86_64__)
  std::error_code error;
  if (std::filesystem::exists("/sys/bus/event_source/devices/cpu_atom", error)) return std::nullopt;
  if (__builtin_cpu_is("intel") && __builtin_cpu_supports("avx2")) return 0x3f24;
  if (__builtin_cpu_is("amd") && __builtin_cpu_supports("avx2")) return 0x0964;
#endif
  return std::nullopt;
}

// -1 and errno when it can't be.
int OpenEvent(const Kind& kind, pid_t thread) {
  perf_event_attr attributes = {};
  attributes.size = sizeof attributes;
  attributes.type = kind.type;
  attributes.config = kind.config;
  attributes.inherit = 1;
  attributes.exclude_kernel = 1;
  attributes.exclude_hv = 1;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  return static_cast<int>(
      ::syscall(SYS_perf_event_open, &attributes, thread, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

std::vector<pid_t> OwnThreads() {
  std::vector<pid_t> threads;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", error)) {
    const std::string name = entry.path().filename();
    pid_t thread = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), thread).ec == std::errc())
      threads.push_back(thread);
  }
  return threads;
}

}  // namespace

PerfEvents::PerfEvents() = default;
PerfEvents::~PerfEvents() { Close(); }
PerfEvents::PerfEvents(PerfEvents&& other) noexcept
    : events_(std::exchange(other.events_, {})), absent_(std::move(other.absent_)) {}
PerfEvents& PerfEvents::operator=(PerfEvents&& other) noexcept {
  std::swap(events_, other.events_);
  std::swap(absent_, other.absent_);
  return *this;
}

void PerfEvents::Close() {
  for (const Event& event : events_) ::close(event.fd);
}

PerfEvents PerfEvents::Open() {
  PerfEvents result;
  const std::vector<pid_t> threads = OwnThreads();
  for (size_t kind = 0; kind < std::size(kKinds); ++kind) {
    Kind wanted = kKinds[kind];
    if (wanted.type == PERF_TYPE_RAW) {
      const auto event = Level2Misses();
      if (!event) {
        result.absent_.push_back(
            fmt::format("{}: this processor's event is not known", wanted.name));
        continue;
      }
      wanted.config = *event;
    }
    int problem = 0;
    bool any = false;
    for (const pid_t thread : threads) {
      const int fd = OpenEvent(wanted, thread);
      if (fd < 0) {
        problem = errno;
        continue;  // a thread that has ended meanwhile is no loss
      }
      result.events_.push_back({kind, fd});
      any = true;
    }
    if (!any)
      result.absent_.push_back(
          fmt::format("{}: perf_event_open: {}", wanted.name, std::strerror(problem)));
  }
  return result;
}

CpuCounts PerfEvents::Read() const {
  CpuCounts counts;
  for (const Event& event : events_) {
    std::array<uint64_t, 3> read = {};  // value, time enabled, time running
    if (::read(event.fd, read.data(), sizeof read) != sizeof read) continue;
    auto& count = counts.*kKinds[event.kind].field;
    if (read[2] == 0 && read[1] > 0) continue;  // never had a counter
    const double share =
        read[2] == 0 ? 1 : static_cast<double>(read[1]) / static_cast<double>(read[2]);
    count = count.value_or(0) + static_cast<double>(read[0]) * share;
  }
  return counts;
}

}  // namespace tern
