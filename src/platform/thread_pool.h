// Workers for the loops of one backend.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tern {

/// Runs a loop body over [0, n) in contiguous parts, one part a thread, the caller's thread among
/// them. Which thread gets which part depends on n, grain and the number of threads alone. Thread
/// rule: one caller at a time.
class ThreadPool {
 public:
  /// threads <= 0 means one per CPU that this process may use.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(begin, end) for parts that are multiples of `grain` (but the last). Returns when
  /// all are done. The body must not throw.
  void ParallelFor(size_t n, size_t grain, const std::function<void(size_t, size_t)>& body);

 private:
  void Work(size_t index);
  static void RunPart(size_t part, size_t parts, size_t n, size_t grain,
                      const std::function<void(size_t, size_t)>& body);

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable start_, done_;
  // Guarded by mutex_:
  const std::function<void(size_t, size_t)>* body_ = nullptr;
  size_t n_ = 0, grain_ = 1, parts_ = 0, running_ = 0;
  uint64_t round_ = 0;
  bool stop_ = false;
};

}  // namespace tern
