#include "engine/inbox.h"

#include <utility>

namespace tern {

bool Inbox::Post(Command command) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    commands_.push_back(std::move(command));
  }
  changed_.notify_one();
  return true;
}

void Inbox::Close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_one();
}

std::vector<Inbox::Command> Inbox::Take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(commands_, {});
}

std::vector<Inbox::Command> Inbox::Wait(std::optional<Time> until) {
  std::unique_lock lock(mutex_);
  const auto something = [this] { return closed_ || !commands_.empty(); };
  if (until)
    changed_.wait_until(lock, *until, something);
  else
    changed_.wait(lock, something);
  return std::exchange(commands_, {});
}

bool Inbox::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

}  // namespace tern
