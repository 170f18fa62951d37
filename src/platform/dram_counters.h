// Bytes between the memory and its controllers, as the controllers count them (perf_event_open).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tern {

/// Since the counters were opened, of the whole machine. What isn't counted is absent.
struct DramBytes {
  std::optional<double> read, written;
};

/// An event of a memory controller: those that Linux names below
/// SYSFS/bus/event_source/devices/uncore_imc* (Intel).
struct DramEvent {
  std::string name;  // "uncore_imc_0/cas_count_read"
  bool write = false;
  uint32_t type = 0;    // of the controller, for perf_event_open
  uint64_t config = 0;  // of the event
  int cpu = 0;          // one of the socket
  double bytes = 0;     // that a count stands for
};
/// Sorted by name. Events without a size in MiB are left out.
std::vector<DramEvent> FindDramEvents(const std::string& sysfs);

/// Thread rule: one owner.
class DramCounters {
 public:
  DramCounters() = default;  // counts nothing
  ~DramCounters();
  DramCounters(DramCounters&& other) noexcept;
  DramCounters& operator=(DramCounters&& other) noexcept;

  static DramCounters Open(const std::string& sysfs);
  DramBytes Read() const;
  /// Why nothing is counted, or not all; "" when all is.
  const std::string& absent() const { return absent_; }

 private:
  struct Counter {
    DramEvent event;
    int fd;
  };
  std::vector<Counter> counters_;
  std::string absent_;
};

}  // namespace tern
