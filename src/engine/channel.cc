#include "engine/channel.h"

#include <algorithm>
#include <utility>

namespace tern {

Channel::Channel(const Options& options, std::function<void()> on_space)
    : capacity_(std::max<size_t>(options.capacity, 1)),
      half_(std::max<size_t>(capacity_ / 2, 1)),
      bulk_(options.bulk),
      on_space_(std::move(on_space)),
      answers_left_(options.answers) {}

bool Channel::Push(Event event) {
  bool full = false, enough = false, ready = false;
  {
    const std::lock_guard lock(mutex_);
    if (event.last()) ++ends_;
    events_.push_back(std::move(event));
    full = full_ = full_ || events_.size() >= capacity_;
    enough = Has(wanted_);
    ready = !bulk_ || Has(half_);
  }
  if (enough) ready_.notify_one();
  if (!ready) return !full;
  const std::lock_guard lock(wake_mutex_);
  if (wake_) wake_();
  return !full;
}

std::optional<Event> Channel::Take(std::unique_lock<std::mutex>& lock) {
  std::optional<Event> event = std::move(events_.front());
  events_.pop_front();
  if (event->last()) {
    --answers_left_;
    --ends_;
  }
  const bool space = full_ && events_.size() <= capacity_ / 2;
  if (space) full_ = false;
  lock.unlock();
  if (space) on_space_();
  return event;
}

// Until there is an event.
void Channel::Sleep(std::unique_lock<std::mutex>& lock) {
  const auto enough = [this] { return Has(wanted_); };
  wanted_ = half_;
  if (bulk_) {
    ready_.wait(lock, enough);
    return;
  }
  ready_.wait_until(lock, woken_ + kBreath, enough);
  wanted_ = 1;
  ready_.wait(lock, enough);
  woken_ = Clock::now();
}

std::optional<Event> Channel::Pop() {
  std::unique_lock lock(mutex_);
  if (answers_left_ == 0) return std::nullopt;
  if (events_.empty()) Sleep(lock);
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
