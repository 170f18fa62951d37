#include "platform/thread_pool.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "platform/cpu_set.h"
#include "platform/worker_crew.h"

namespace tern {
namespace {

bool PinningAllowed() {
  const char* value = std::getenv("TERN_PIN");
  return value == nullptr || std::string_view(value) != "0";
}

void RunPart(size_t part, size_t parts, size_t n, size_t grain, ThreadPool::Body body) {
  const size_t grains = (n + grain - 1) / grain;
  const size_t begin = std::min(n, grains * part / parts * grain);
  const size_t end = std::min(n, grains * (part + 1) / parts * grain);
  if (begin < end) body(begin, end);
}

}  // namespace

ThreadPool::ThreadPool(int threads, bool pin) : threads_(threads > 0 ? threads : UsableCpuCount()) {
  if (threads_ == 1) return;
  crew_ = WorkerCrew::Get();
  workers_ += crew_->Start(static_cast<size_t>(threads_) - 1, pin && PinningAllowed());
}

ThreadPool::~ThreadPool() = default;

bool ThreadPool::pinned() const { return crew_ && crew_->pinned(); }

void ThreadPool::ParallelFor(size_t n, size_t grain, Body body) {
  if (n == 0) return;
  grain = std::max<size_t>(grain, 1);
  const size_t parts = std::min(static_cast<size_t>(threads_), (n + grain - 1) / grain);
  if (parts == 1) {
    body(0, n);
    return;
  }
  const size_t runners = std::min(parts, workers_);
  const auto run = [&](size_t runner) {
    for (size_t part = runner; part < parts; part += runners) RunPart(part, parts, n, grain, body);
  };
  if (runners == 1)
    run(0);
  else
    crew_->Run(runners, run);
}

}  // namespace tern
