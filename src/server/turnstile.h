// Who may use the engine next.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>

namespace tern {

/// One at a time, first come first served, with a bounded queue. Thread rule: any thread.
class Turnstile {
 public:
  enum class Outcome : uint8_t {
    kMine,  // until Leave()
    kFull,  // max_waiting others wait already
    kGivenUp,
  };

  explicit Turnstile(size_t max_waiting) : max_waiting_(max_waiting) {}

  /// Waits for the caller's turn; `still_wanted` is asked several times a second.
  Outcome Enter(const std::function<bool()>& still_wanted);
  void Leave();

 private:
  const size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<uint64_t> waiting_;
  uint64_t next_ticket_ = 0;
  bool taken_ = false;
};

}  // namespace tern
