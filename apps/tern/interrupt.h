// Ctrl-C as a flag that long work looks at.
#pragma once

#include <atomic>

namespace tern::cli {

enum class OnSecondInterrupt {
  kExit,  // whoever presses Ctrl-C again while the first is still unanswered wants out now
  kIgnore,
};

/// From now on SIGINT sets the flag; system calls are interrupted, not restarted.
void CatchInterrupts(OnSecondInterrupt second);

/// True from a Ctrl-C on until somebody clears it.
std::atomic<bool>& Interrupted();

}  // namespace tern::cli
