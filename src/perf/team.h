// Threads that start together, for measurements of a whole machine.
#pragma once

#include <functional>

namespace tern {

struct TeamTime {
  double seconds = 0;      // from the first start to the last end
  double cpu_seconds = 0;  // that a thread computed, on average; less than `seconds` when other
                           // work had the CPUs in between
  /// 1: undisturbed.
  double CpuShare() const { return seconds > 0 ? cpu_seconds / seconds : 1; }
};

/// Runs body(0) .. body(threads - 1), each on a thread of its own that is pinned to a CPU (round
/// robin over those this process may use), all at the same moment. prepare(thread), if any, runs
/// before on the same threads and is not timed: memory touched there is near the thread. The
/// functions must not throw.
TeamTime RunTogether(int threads, const std::function<void(int)>& body,
                     const std::function<void(int)>& prepare = {});

}  // namespace tern
