// Events on their way from the engine to the reader of one request.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>

#include "engine/event.h"

namespace tern {

/// Bounded by its writer: Push never waits, it says when the reader is behind, and `on_space` says
/// when the reader has caught up. So it holds the capacity and what the step that filled it has
/// beyond. Waking a thread that sleeps costs the one that wakes it microseconds, more than all
/// else here: a reader in bulk is woken when half of the capacity is there, or an answer's end; any
/// other for each event, but at most once in kBreath. Thread rule: one writer and one reader, each
/// on a thread of its own.
class Channel {
 public:
  static constexpr auto kBreath = std::chrono::milliseconds(5);

  struct Options {
    size_t capacity = 32;
    int answers = 1;    // last events that will come
    bool bulk = false;  // the reader wants whole answers
  };
  /// on_space: called by the reader, after a Push that returned false, when half of the capacity is
  /// free.
  Channel(const Options& options, std::function<void()> on_space);

  /// False: full, so hold back until on_space.
  bool Push(Event event);

  /// Waits; nothing after the last event of the last answer.
  std::optional<Event> Pop();
  /// Nothing: not now.
  std::optional<Event> TryPop();
  /// Every event has been taken.
  bool Finished() const;
  /// `wake` is called by the writer after each Push, or in bulk as told above, and at once if
  /// something is there. An empty function: no longer; none is running when this returns.
  void OnReady(std::function<void()> wake);

 private:
  using Clock = std::chrono::steady_clock;

  std::optional<Event> Take(std::unique_lock<std::mutex>& lock);
  void Sleep(std::unique_lock<std::mutex>& lock);
  bool Has(size_t events) const { return ends_ > 0 || events_.size() >= events; }

  const size_t capacity_, half_;
  const bool bulk_;
  const std::function<void()> on_space_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Event> events_;
  int answers_left_;   // last events not yet taken
  int ends_ = 0;       // of them, in events_
  size_t wanted_ = 1;  // events for which the sleeping reader wants to be woken
  Clock::time_point woken_ = {};
  bool full_ = false;  // since a Push, until half is free
  std::mutex wake_mutex_;
  std::function<void()> wake_;
};

}  // namespace tern
