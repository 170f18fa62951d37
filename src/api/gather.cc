#include "api/gather.h"

namespace tern {

void Gather::Signal::Raise() {
  const std::lock_guard lock(mutex);
  woken = true;
  changed.notify_one();
}

void Gather::Signal::Announce(size_t key) {
  const std::lock_guard lock(mutex);
  ready.push_back(key);
  changed.notify_one();
}

void Gather::Add(size_t key, std::unique_ptr<Ticket> ticket) {
  Entry& entry = entries_[key];
  entry.ticket = std::move(ticket);
  entry.announced = std::make_shared<std::atomic<bool>>(false);
  entry.ticket->handle().OnReady([signal = signal_, announced = entry.announced, key] {
    if (!announced->exchange(true)) signal->Announce(key);
  });
}

bool Gather::Drain(Entry& entry) {
  entry.announced->store(false);  // before reading: what comes later is announced again
  while (auto event = entry.ticket->handle().TryNext()) entry.collector.Add(std::move(*event));
  return entry.collector.ended();
}

std::optional<size_t> Gather::NextReady(std::chrono::milliseconds patience) {
  std::unique_lock lock(signal_->mutex);
  const auto something = [this] { return signal_->woken || !signal_->ready.empty(); };
  if (patience == kForever)
    signal_->changed.wait(lock, something);
  else
    signal_->changed.wait_for(lock, patience, something);
  signal_->woken = false;
  if (signal_->ready.empty()) return std::nullopt;
  const size_t key = signal_->ready.front();
  signal_->ready.pop_front();
  return key;
}

std::optional<Gather::Ended> Gather::Next(std::chrono::milliseconds patience) {
  const auto start = std::chrono::steady_clock::now();
  while (!entries_.empty()) {
    const auto key = NextReady(patience);
    if (!key) break;
    const auto entry = entries_.find(*key);
    if (entry != entries_.end() && Drain(entry->second)) {
      Ended ended{*key, entry->second.collector.Answer()};
      entries_.erase(entry);
      return ended;
    }
    if (patience != kForever && std::chrono::steady_clock::now() - start > patience) break;
  }
  return std::nullopt;
}

}  // namespace tern
