// Several requests read by one thread.
#pragma once

#include <tern/tern.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "api/ticket.h"

namespace tern {

/// Keeps the channels of many requests empty and hands out the answers as they end. Thread rule:
/// one thread; Wake from anywhere.
class Gather {
 public:
  static constexpr auto kForever = std::chrono::milliseconds::max();

  struct Ended {
    size_t key = 0;
    v1::Result<v1::Completion> result;
  };

  /// key: the caller's name for the request; no other one under way has it.
  void Add(size_t key, std::unique_ptr<Ticket> ticket);
  /// Waits for the next answer to end. Nothing: no request, Wake, or `patience` is over.
  std::optional<Ended> Next(std::chrono::milliseconds patience = kForever);
  /// Makes Next return, now or at its next call.
  void Wake() { signal_->Raise(); }
  size_t size() const { return entries_.size(); }

 private:
  /// What the engine's thread touches: it may outlive the gatherer.
  struct Signal {
    void Raise();
    void Announce(size_t key);

    std::mutex mutex;
    std::condition_variable changed;
    std::deque<size_t> ready;
    bool woken = false;
  };
  struct Entry {
    std::unique_ptr<Ticket> ticket;
    Collector collector;
    std::shared_ptr<std::atomic<bool>> announced;
  };

  /// The key of a request that has something new.
  std::optional<size_t> NextReady(std::chrono::milliseconds patience);
  /// Reads what is there; true at the end.
  static bool Drain(Entry& entry);

  std::shared_ptr<Signal> signal_ = std::make_shared<Signal>();
  std::unordered_map<size_t, Entry> entries_;
};

}  // namespace tern
