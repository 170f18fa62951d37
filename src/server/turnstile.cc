#include "server/turnstile.h"

#include <algorithm>
#include <chrono>

namespace tern {
namespace {

constexpr std::chrono::milliseconds kPatience(100);

}  // namespace

Turnstile::Outcome Turnstile::Enter(const std::function<bool()>& still_wanted) {
  std::unique_lock lock(mutex_);
  const bool free = !taken_ && waiting_.empty();
  if (!free && waiting_.size() >= max_waiting_) return Outcome::kFull;
  const uint64_t ticket = next_ticket_++;
  waiting_.push_back(ticket);
  while (taken_ || waiting_.front() != ticket) {
    changed_.wait_for(lock, kPatience);
    lock.unlock();
    const bool wanted = still_wanted();
    lock.lock();
    if (wanted) continue;
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), ticket));
    changed_.notify_all();
    return Outcome::kGivenUp;
  }
  waiting_.pop_front();
  taken_ = true;
  return Outcome::kMine;
}

void Turnstile::Leave() {
  const std::lock_guard lock(mutex_);
  taken_ = false;
  changed_.notify_all();
}

}  // namespace tern
