// The worker threads of a process, shared by its thread pools.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/function_ref.h"
#include "platform/wait_word.h"

namespace tern {

/// One worker for each usable CPU but the caller's, started when first asked for. A worker that has
/// run out of work spins for a moment, then sleeps.
class WorkerCrew {
 public:
  using Task = FunctionRef<void(size_t runner)>;

  /// The crew of the calling thread's CPUs, the same for everybody who has these; it ends with its
  /// last owner.
  static std::shared_ptr<WorkerCrew> Get();

  explicit WorkerCrew(std::vector<int> cpus);
  ~WorkerCrew();

  /// Sees to it that `wanted` workers have been started. Returns how many of them there are: no
  /// more than one less than there are CPUs, or than the system lets a process have.
  size_t Start(size_t wanted, bool pin);
  bool pinned() const { return pinned_.load(std::memory_order_relaxed); }

  /// task(0) on the calling thread, task(1) .. task(runners - 1) on workers, but for what no worker
  /// has begun when the calling thread has nothing left to do: that it does too (docs/adr/0033).
  /// Returns when all are done. At most as many as Start promised, and one. Callers take turns in
  /// the order in which they came. Called from inside a task, all run on the calling thread.
  void Run(size_t runners, Task task);

 private:
  using Clock = std::chrono::steady_clock;

  struct Seat {
    WaitWord signal;  // kWait, kRun or kLeave
    int missed = 0;   // parts in a row that the caller did; for who has the part
    std::thread thread;
  };

  void Work(Seat& seat, size_t runner, int cpu);

  const std::vector<int> cpus_;
  const std::unique_ptr<Seat[]> seats_;  // one for each CPU but the caller's
  std::mutex starting_;
  size_t started_ = 0;  // guarded by starting_
  std::atomic<bool> pinned_ = false;
  std::atomic<uint32_t> next_turn_ = 0;
  WaitWord turn_;
  const Task* task_ = nullptr;  // of whoever has the turn
  Clock::time_point called_;    // when he had it; kept only for pinned workers
  WaitWord running_;            // workers that have not finished it
};

}  // namespace tern
