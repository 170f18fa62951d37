// Work for the engine's thread, from any other.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

namespace tern {

/// Outlives the engine in the hands of its readers. Thread rule: any thread posts, one takes.
class Inbox {
 public:
  using Command = std::function<void()>;
  using Time = std::chrono::steady_clock::time_point;

  /// False once closed: the command is dropped.
  bool Post(Command command);
  void Close();

  /// What is there.
  std::vector<Command> Take();
  /// Waits for a command, `until` if given, or Close.
  std::vector<Command> Wait(std::optional<Time> until);
  bool closed() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Command> commands_;
  bool closed_ = false;
};

}  // namespace tern
