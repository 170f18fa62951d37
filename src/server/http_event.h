// A condition variable for coroutines. Internal to the HTTP layer.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

namespace tern {

/// Wakes one coroutine. Thread rule: the thread of its executor.
class HttpEvent {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr Clock::time_point kNever = Clock::time_point::max();

  explicit HttpEvent(const boost::asio::any_io_executor& executor) : timer_(executor) {}

  /// Stays set until a Wait has seen it.
  void Set() {
    set_ = true;
    timer_.cancel();
  }

  /// False: the deadline came first.
  boost::asio::awaitable<bool> Wait(Clock::time_point deadline) {
    constexpr auto kToken = boost::asio::as_tuple(boost::asio::use_awaitable);
    while (!set_) {
      timer_.expires_at(deadline);
      const auto [cancelled] = co_await timer_.async_wait(kToken);
      if (!cancelled && !set_) co_return false;
    }
    set_ = false;
    co_return true;
  }

 private:
  boost::asio::steady_timer timer_;
  bool set_ = false;
};

}  // namespace tern
