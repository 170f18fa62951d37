// The processor's own counters, as Linux offers them (perf_event_open).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tern {

/// Since the counters were opened, all threads together; user space alone. What the machine doesn't
/// count is absent. Where it can't count everything at once, the counts are scaled to the whole
/// time.
struct CpuCounts {
  std::optional<double> cycles, instructions;
  std::optional<double> l1_misses;   // reads of data
  std::optional<double> l2_misses;   // of all kinds; where the processor's event for it is known
  std::optional<double> llc_misses;  // of the last cache before memory
};

/// Threads that exist at Open, and those that they start later, are counted. Thread rule: one
/// owner.
class PerfEvents {
 public:
  PerfEvents();  // counts nothing
  ~PerfEvents();
  PerfEvents(PerfEvents&& other) noexcept;
  PerfEvents& operator=(PerfEvents&& other) noexcept;

  static PerfEvents Open();
  CpuCounts Read() const;
  /// One sentence for each counter that isn't there: why.
  const std::vector<std::string>& absent() const { return absent_; }

 private:
  struct Event {
    size_t kind;
    int fd;
  };
  void Close();

  std::vector<Event> events_;
  std::vector<std::string> absent_;
};

}  // namespace tern
