#include "platform/dram_counters.h"

#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <utility>

#include "platform/sysfs.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

// "event=0x04,umask=0x03" by the controller's own table of where each term goes ("config:8-15").
std::optional<uint64_t> Config(const fs::path& controller, const std::string& text) {
  uint64_t config = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const size_t equals = text.find('=', at);
    if (equals >= end || text.compare(equals + 1, 2, "0x") != 0) return std::nullopt;
    uint64_t value = 0;
    const auto place = FirstLine(controller / "format" / text.substr(at, equals - at));
    constexpr std::string_view kPlace = "config:";
    unsigned shift = 0;
    if (!place || !place->starts_with(kPlace) ||
        std::from_chars(place->data() + kPlace.size(), place->data() + place->size(), shift).ec !=
            std::errc() ||
        shift > 63 ||
        std::from_chars(text.data() + equals + 3, text.data() + end, value, 16).ec != std::errc())
      return std::nullopt;
    config |= value << shift;
    at = end + 1;
  }
  return config;
}

int OpenEvent(const DramEvent& event) {
  perf_event_attr attributes = {};
  attributes.size = sizeof attributes;
  attributes.type = event.type;
  attributes.config = event.config;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  return static_cast<int>(
      ::syscall(SYS_perf_event_open, &attributes, -1, event.cpu, -1, PERF_FLAG_FD_CLOEXEC));
}

}  // namespace

std::vector<DramEvent> FindDramEvents(const std::string& sysfs) {
  constexpr double kMiB = 1 << 20;
  // Servers have the first two names, desktops the others.
  constexpr std::pair<const char*, bool> kEvents[] = {{"cas_count_read", false},
                                                      {"cas_count_write", true},
                                                      {"data_reads", false},
                                                      {"data_writes", true}};
  std::vector<DramEvent> found;
  for (const fs::path& controller : EntriesOf(sysfs + "/bus/event_source/devices", "uncore_imc")) {
    const auto type = ReadNumber<uint32_t>(controller / "type");
    const auto cpus = FirstLine(controller / "cpumask");  // "0,32": one of each socket
    if (!type || !cpus) continue;
    for (const auto& [name, write] : kEvents) {
      const fs::path file = controller / "events" / name;
      const auto text = FirstLine(file);
      const auto scale = ReadNumber<double>(file.string() + ".scale");
      if (!text || !scale || FirstLine(file.string() + ".unit") != "MiB") continue;
      const auto config = Config(controller, *text);
      if (!config) continue;
      for (size_t at = 0; at < cpus->size(); at = std::min(cpus->find(',', at), cpus->size()) + 1) {
        int cpu = 0;
        if (std::from_chars(cpus->data() + at, cpus->data() + cpus->size(), cpu).ec == std::errc())
          found.push_back({controller.filename().string() + "/" + name, write, *type, *config, cpu,
                           *scale * kMiB});
      }
    }
  }
  return found;
}

DramCounters::~DramCounters() {
  for (const Counter& counter : counters_) ::close(counter.fd);
}
DramCounters::DramCounters(DramCounters&& other) noexcept
    : counters_(std::exchange(other.counters_, {})), absent_(std::move(other.absent_)) {}
DramCounters& DramCounters::operator=(DramCounters&& other) noexcept {
  std::swap(counters_, other.counters_);
  std::swap(absent_, other.absent_);
  return *this;
}

DramCounters DramCounters::Open(const std::string& sysfs) {
  DramCounters result;
  const auto events = FindDramEvents(sysfs);
  if (events.empty())
    result.absent_ = "memory traffic: no uncore_imc in " + sysfs + "/bus/event_source/devices";
  for (const DramEvent& event : events) {
    const int fd = OpenEvent(event);
    if (fd >= 0) {
      result.counters_.push_back({event, fd});
      continue;
    }
    result.absent_ =
        fmt::format("memory traffic: {}: perf_event_open: {}", event.name, std::strerror(errno));
    // A part of the traffic would pass for all of it.
    for (const Counter& counter : result.counters_) ::close(counter.fd);
    result.counters_.clear();
    break;
  }
  return result;
}

DramBytes DramCounters::Read() const {
  DramBytes bytes;
  for (const Counter& counter : counters_) {
    std::array<uint64_t, 3> read = {};  // value, time enabled, time running
    if (::read(counter.fd, read.data(), sizeof read) != sizeof read) return {};
    if (read[2] == 0) continue;
    auto& sum = counter.event.write ? bytes.written : bytes.read;
    sum = sum.value_or(0) + static_cast<double>(read[0]) * counter.event.bytes *
                                static_cast<double>(read[1]) / static_cast<double>(read[2]);
  }
  return bytes;
}

}  // namespace tern
