// A number that threads wait on: first spinning, then asleep.
#pragma once

#include <atomic>
#include <cstdint>

namespace tern {

/// Thread rule: everything may be called from any thread. What was written before a Store or
/// Subtract is seen by whom it lets go.
class alignas(64) WaitWord {
 public:
  uint32_t Load() const { return value_.load(std::memory_order_acquire); }
  /// Without waking anybody: for a value that nobody waits for.
  void Reset(uint32_t value) { value_.store(value, std::memory_order_relaxed); }
  void Store(uint32_t value);
  /// `from` becomes `to`, without waking anybody; false when it is another value.
  bool Replace(uint32_t from, uint32_t to) {
    return value_.compare_exchange_strong(from, to, std::memory_order_acq_rel);
  }
  /// Returns what is left.
  uint32_t Subtract(uint32_t amount);
  /// Returns when the value is another one.
  void WaitWhile(uint32_t value);

 private:
  void Wake();

  std::atomic<uint32_t> value_ = 0;
  std::atomic<uint32_t> sleepers_ = 0;
};

}  // namespace tern
