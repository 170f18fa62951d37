// Events on their way from the engine to the reader of one request.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>

#include "engine/event.h"

namespace tern {

/// Bounded by its writer: Push never waits, it says when the reader is behind, and `on_space` says
/// when the reader has caught up. So it holds the capacity and what the step that filled it has
/// beyond. Thread rule: one writer and one reader, each on a thread of its own.
class Channel {
 public:
  /// answers: last events that will come. on_space: called by the reader, after a Push that
  /// returned false, when half of the capacity is free.
  Channel(size_t capacity, int answers, std::function<void()> on_space);

  /// False: full, so hold back until on_space.
  bool Push(Event event);

  /// Waits; nothing after the last event of the last answer.
  std::optional<Event> Pop();
  /// Nothing: not now.
  std::optional<Event> TryPop();
  /// Every event has been taken.
  bool Finished() const;
  /// `wake` is called after each Push, by the writer, and at once if something is there. An empty
  /// function: no longer; none is running when this returns.
  void OnReady(std::function<void()> wake);

 private:
  std::optional<Event> Take(std::unique_lock<std::mutex>& lock);

  const size_t capacity_;
  const std::function<void()> on_space_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Event> events_;
  int answers_left_;   // last events not yet taken
  bool full_ = false;  // since a Push, until half is free
  std::mutex wake_mutex_;
  std::function<void()> wake_;
};

}  // namespace tern
