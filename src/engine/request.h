// A request to an engine, and the reader's end of it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/channel.h"
#include "engine/event.h"

namespace tern {

using RequestId = uint64_t;

struct Request {
  std::vector<TokenId> prompt = {};
  GenerationOptions options = {};
  int n = 1;         // answers to the same prompt; answer i draws with the seed + i
  int priority = 0;  // higher goes first
  std::optional<std::chrono::steady_clock::time_point> deadline = {};  // then kDeadline
  bool cache_prompt = true;  // may use and fill the prefix cache
  size_t buffer = 32;        // events that may wait for the reader; then the request pauses
  bool bulk = false;         // the reader wants whole answers: he is woken for many events at once
};

inline constexpr int kMaxAnswers = 128;

/// Destroying it cancels what is unfinished. Thread rule: one reader; Cancel from anywhere.
class RequestHandle {
 public:
  RequestHandle(RequestId id, std::shared_ptr<Channel> channel, std::function<void()> cancel)
      : id_(id), channel_(std::move(channel)), cancel_(std::move(cancel)) {}
  RequestHandle(RequestHandle&&) = default;
  RequestHandle& operator=(RequestHandle&& other);
  ~RequestHandle() { Release(); }

  RequestId id() const { return id_; }
  /// Waits; nothing after the last answer's end.
  std::optional<Event> Next() { return channel_->Pop(); }
  /// Nothing: not now.
  std::optional<Event> TryNext() { return channel_->TryPop(); }
  /// Every event has been taken.
  bool Finished() const { return channel_->Finished(); }
  /// `wake` is called on the engine's thread whenever TryNext may have something new, and at once
  /// if something is there. It must not wait, nor destroy this handle or call OnReady.
  void OnReady(std::function<void()> wake) { channel_->OnReady(std::move(wake)); }
  /// The answers end soon, with kCancelled.
  void Cancel() const { cancel_(); }

 private:
  void Release();

  RequestId id_;
  std::shared_ptr<Channel> channel_;
  std::function<void()> cancel_;
};

}  // namespace tern
