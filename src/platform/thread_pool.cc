#include "platform/thread_pool.h"

#include <sched.h>

#include <algorithm>

namespace tern {
namespace {

size_t UsableCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<size_t>(CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  const size_t count = threads > 0 ? static_cast<size_t>(threads) : UsableCpus();
  for (size_t i = 1; i < count; ++i) workers_.emplace_back([this, i] { Work(i); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::RunPart(size_t part, size_t parts, size_t n, size_t grain,
                         const std::function<void(size_t, size_t)>& body) {
  const size_t grains = (n + grain - 1) / grain;
  const size_t begin = std::min(n, grains * part / parts * grain);
  const size_t end = std::min(n, grains * (part + 1) / parts * grain);
  if (begin < end) body(begin, end);
}

void ThreadPool::ParallelFor(size_t n, size_t grain,
                             const std::function<void(size_t, size_t)>& body) {
  if (n == 0) return;
  grain = std::max<size_t>(grain, 1);
  const size_t parts = std::min(workers_.size() + 1, (n + grain - 1) / grain);
  if (parts == 1) {
    body(0, n);
    return;
  }
  {
    std::lock_guard lock(mutex_);
    body_ = &body;
    n_ = n;
    grain_ = grain;
    parts_ = parts;
    running_ = workers_.size();
    ++round_;
  }
  start_.notify_all();
  RunPart(0, parts, n, grain, body);
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return running_ == 0; });
}

void ThreadPool::Work(size_t index) {
  uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    start_.wait(lock, [&] { return stop_ || round_ != seen; });
    if (stop_) return;
    seen = round_;
    const auto* body = body_;
    const size_t n = n_, grain = grain_, parts = parts_;
    lock.unlock();
    if (index < parts) RunPart(index, parts, n, grain, *body);
    lock.lock();
    if (--running_ == 0) done_.notify_one();
  }
}

}  // namespace tern
