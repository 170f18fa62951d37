#include "engine/channel.h"

#include <algorithm>
#include <utility>

namespace tern {

Channel::Channel(size_t capacity, int answers, std::function<void()> on_space)
    : capacity_(std::max<size_t>(capacity, 1)),
      on_space_(std::move(on_space)),
      answers_left_(answers) {}

bool Channel::Push(Event event) {
  bool full = false;
  {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    full = full_ = full_ || events_.size() >= capacity_;
  }
  ready_.notify_one();
  const std::lock_guard lock(wake_mutex_);
  if (wake_) wake_();
  return !full;
}

std::optional<Event> Channel::Take(std::unique_lock<std::mutex>& lock) {
  std::optional<Event> event = std::move(events_.front());
  events_.pop_front();
  if (event->last()) --answers_left_;
  const bool space = full_ && events_.size() <= capacity_ / 2;
  if (space) full_ = false;
  lock.unlock();
  if (space) on_space_();
  return event;
}

std::optional<Event> Channel::Pop() {
  std::unique_lock lock(mutex_);
  ready_.wait(lock, [this] { return !events_.empty() || answers_left_ == 0; });
  if (events_.empty()) return std::nullopt;
  return Take(lock);
}

std::optional<Event> Channel::TryPop() {
  std::unique_lock lock(mutex_);
  if (events_.empty()) return std::nullopt;
  return Take(lock);
}

bool Channel::Finished() const {
  const std::lock_guard lock(mutex_);
  return answers_left_ == 0;
}

void Channel::OnReady(std::function<void()> wake) {
  {
    const std::lock_guard lock(wake_mutex_);
    wake_ = std::move(wake);
    if (!wake_) return;
  }
  bool there = false;
  {
    const std::lock_guard lock(mutex_);
    there = !events_.empty();
  }
  if (!there) return;
  const std::lock_guard lock(wake_mutex_);
  if (wake_) wake_();
}

}  // namespace tern
