#include "interrupt.h"

#include <unistd.h>

#include <csignal>

#include "command.h"

namespace tern::cli {
namespace {

std::atomic<bool> interrupted = false;
std::atomic<bool> exit_on_second = true;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may touch it");

void OnInterrupt(int) {
  if (interrupted.exchange(true) && exit_on_second) _exit(kExitInterrupted);
}

}  // namespace

void CatchInterrupts(OnSecondInterrupt second) {
  exit_on_second = second == OnSecondInterrupt::kExit;
  struct sigaction action = {};
  action.sa_handler = OnInterrupt;
  sigaction(SIGINT, &action, nullptr);
}

std::atomic<bool>& Interrupted() { return interrupted; }

}  // namespace tern::cli
