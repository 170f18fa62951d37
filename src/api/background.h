// The thread that waits for answers nobody waits for yet: those of futures.
#pragma once

#include <tern/tern.h>

#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "api/gather.h"

namespace tern {

/// Started by the first request. Thread rule: any thread.
class Background {
 public:
  Background() = default;
  /// The requests have to be cancelled before; waits for their end.
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  std::future<v1::Result<v1::Completion>> Add(std::unique_ptr<Ticket> ticket);

 private:
  struct Order {
    std::unique_ptr<Ticket> ticket;
    std::promise<v1::Result<v1::Completion>> promise;
  };

  void Run();
  /// Takes the new orders in; waits when there is nothing to do. False: time to go.
  bool TakeOrders();

  std::mutex mutex_;
  std::condition_variable ordered_;
  std::vector<Order> orders_;  // not yet taken in
  bool leaving_ = false;
  std::thread thread_;
  Gather gather_;  // the thread's own, but for Wake
  std::unordered_map<size_t, std::promise<v1::Result<v1::Completion>>> promises_;  // the thread's
  size_t next_key_ = 0;                                                            // the thread's
};

}  // namespace tern
