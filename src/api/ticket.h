// A request under way, and the answer that grows from its events.
#pragma once

#include <tern/tern.h>

#include <memory>
#include <stop_token>

#include "engine/engine.h"

namespace tern {

/// A request's handle that two stop tokens cancel: the caller's and the model's.
class Ticket {
 public:
  Ticket(RequestHandle handle, const std::stop_token& caller, const std::stop_token& model)
      : handle_(std::move(handle)),
        caller_(caller, Cancel{&handle_}),
        model_(model, Cancel{&handle_}) {}

  RequestHandle& handle() { return handle_; }

 private:
  struct Cancel {
    RequestHandle* handle;
    void operator()() const { handle->Cancel(); }
  };

  RequestHandle handle_;
  std::stop_callback<Cancel> caller_, model_;  // gone before the handle is
};

/// Thread rule: one thread.
class Collector {
 public:
  /// Takes an event in; what a stream shows of it.
  v1::Chunk Add(Event event);
  /// The last event has been seen.
  bool ended() const { return ended_; }
  /// The answer, or why there is none; kInternal before the end.
  v1::Result<v1::Completion> Answer() const;

 private:
  bool ended_ = false;
  v1::Completion completion_;
  std::optional<Error> error_;
};

}  // namespace tern
