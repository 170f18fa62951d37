#include "platform/wait_word.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <climits>

namespace tern {
namespace {

using Clock = std::chrono::steady_clock;

// Between two loops of a forward pass lie microseconds: spinning over them saves a sleep and a
// wake-up. A wait that is longer than those isn't worth a core.
constexpr auto kSpin = std::chrono::microseconds(30);
constexpr int kPausesPerLook = 16;  // about a microsecond

// A thread that was off its CPU while it spun isn't alone there. Then sleeping is better: who
// sleeps is the first to run again, who spins waits for his next slice of time.
constexpr auto kCrowded = std::chrono::microseconds(20);
constexpr uint32_t kWaitsWithoutSpin = 200;
thread_local uint32_t t_no_spin = 0;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Whether the value changed in time.
bool SpinWhile(const std::atomic<uint32_t>& word, uint32_t value) {
  const Clock::time_point start = Clock::now();
  for (Clock::time_point now = start, last = start; now - start < kSpin; last = now) {
    for (int i = 0; i < kPausesPerLook; ++i) {
      if (word.load(std::memory_order_acquire) != value) return true;
      Pause();
    }
    now = Clock::now();
    if (now - last > kCrowded) {
      t_no_spin = kWaitsWithoutSpin;
      break;
    }
  }
  return false;
}

void Futex(std::atomic<uint32_t>& word, int operation, uint32_t value) {
  static_assert(sizeof word == sizeof(uint32_t));
  ::syscall(SYS_futex, &word, operation, value, nullptr, nullptr, 0);
}

}  // namespace

// Either the sleeper sees the new value or the waker sees the sleeper: both sides change one
// variable, then look at the other, in one order that all threads agree on (seq_cst).
void WaitWord::Wake() {
  if (sleepers_.load() != 0) Futex(value_, FUTEX_WAKE_PRIVATE, INT_MAX);
}

void WaitWord::Store(uint32_t value) {
  value_.store(value);
  Wake();
}

uint32_t WaitWord::Subtract(uint32_t amount) {
  const uint32_t left = value_.fetch_sub(amount) - amount;
  if (left == 0) Wake();
  return left;
}

void WaitWord::WaitWhile(uint32_t value) {
  if (Load() != value) return;
  if (t_no_spin > 0)
    --t_no_spin;
  else if (SpinWhile(value_, value))
    return;
  ++sleepers_;
  while (value_.load() == value) Futex(value_, FUTEX_WAIT_PRIVATE, value);
  --sleepers_;
}

}  // namespace tern
