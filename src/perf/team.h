// Threads that start together, for measurements of a whole machine.
#pragma once

#include <functional>

namespace tern {

/// Runs body(0) .. body(threads - 1), each on a thread of its own that is pinned to a CPU (round
/// robin over those this process may use), all at the same moment. Returns the seconds from the
/// first start to the last end. prepare(thread), if any, runs before on the same threads and is not
/// timed: memory touched there is near the thread. The functions must not throw.
double RunTogether(int threads, const std::function<void(int)>& body,
                   const std::function<void(int)>& prepare = {});

}  // namespace tern
