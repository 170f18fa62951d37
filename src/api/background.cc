#include "api/background.h"

namespace tern {

Background::~Background() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
    ordered_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

std::future<v1::Result<v1::Completion>> Background::Add(std::unique_ptr<Ticket> ticket) {
  std::promise<v1::Result<v1::Completion>> promise;
  auto future = promise.get_future();
  const std::lock_guard lock(mutex_);
  orders_.push_back({std::move(ticket), std::move(promise)});
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  ordered_.notify_one();
  gather_.Wake();
  return future;
}

bool Background::TakeOrders() {
  std::unique_lock lock(mutex_);
  if (gather_.size() == 0) ordered_.wait(lock, [this] { return leaving_ || !orders_.empty(); });
  for (Order& order : orders_) {
    promises_[next_key_] = std::move(order.promise);
    gather_.Add(next_key_++, std::move(order.ticket));
  }
  orders_.clear();
  return gather_.size() > 0;
}

void Background::Run() {
  while (TakeOrders()) {
    auto ended = gather_.Next();
    if (!ended) continue;
    const auto promise = promises_.find(ended->key);
    promise->second.set_value(std::move(ended->result));
    promises_.erase(promise);
  }
}

}  // namespace tern
