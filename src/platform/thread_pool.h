// Parallel loops for the backends, on workers that all engines of a process share.
#pragma once

#include <cstddef>
#include <memory>

#include "base/function_ref.h"

namespace tern {

class WorkerCrew;

/// Runs a loop body over [0, n) in contiguous parts, the caller's thread among those that run them.
/// Parts, and which thread each is meant for, depend on n, grain and threads() alone: a thread
/// finds again the memory that it touched first, unless it came too late and the caller did its
/// part. The threads themselves belong to a crew that every pool of the process with the same CPUs
/// shares (docs/adr/0010): pools that are called at once take turns. Thread rule: callable from
/// several threads at once.
class ThreadPool {
 public:
  using Body = FunctionRef<void(size_t begin, size_t end)>;

  /// threads <= 0 means one per CPU that this process may use; more than that are parts without a
  /// thread of their own. Workers are pinned, one to a CPU, when the pool uses every CPU; `pin`
  /// false, or TERN_PIN=0, keeps them loose. The caller's thread is never pinned.
  explicit ThreadPool(int threads, bool pin = true);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Parts that a long loop is cut into.
  int threads() const { return threads_; }
  /// Threads that run them, the caller's included: threads(), or the number of usable CPUs.
  int workers() const { return static_cast<int>(workers_); }
  bool pinned() const;

  /// Calls body(begin, end) for parts that are multiples of `grain` (but the last). Returns when
  /// all are done. The body must not throw; a loop inside a body runs on the body's thread.
  void ParallelFor(size_t n, size_t grain, Body body);

 private:
  const int threads_;
  std::shared_ptr<WorkerCrew> crew_;  // null for one thread
  size_t workers_ = 1;
};

}  // namespace tern
