#include "server/workers.h"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <mutex>

#include "server/api_error.h"

namespace tern {
namespace {

// Where a job leaves its reply.
struct Slot {
  std::mutex mutex;
  bool wanted = true;
  std::unique_ptr<HttpReply> reply;
  std::function<void()> wake;
};

class JobReply final : public HttpReply {
 public:
  explicit JobReply(std::shared_ptr<Slot> slot) : slot_(std::move(slot)) {}
  ~JobReply() override {
    const std::lock_guard lock(slot_->mutex);
    slot_->wanted = false;
    slot_->wake = nullptr;
    slot_->reply.reset();
  }

  void OnReady(std::function<void()> wake) override {
    const std::lock_guard lock(slot_->mutex);
    if (slot_->reply != nullptr)
      slot_->reply->OnReady(std::move(wake));
    else
      slot_->wake = std::move(wake);
  }

  std::optional<HttpPart> Pull() override {
    const std::lock_guard lock(slot_->mutex);
    return slot_->reply == nullptr ? std::nullopt : slot_->reply->Pull();
  }

  std::string Summary() const override {
    const std::lock_guard lock(slot_->mutex);
    return slot_->reply == nullptr ? "waited for a worker" : slot_->reply->Summary();
  }

 private:
  std::shared_ptr<Slot> slot_;
};

std::unique_ptr<HttpReply> Run(const std::function<std::unique_ptr<HttpReply>()>& job) {
  constexpr int kInternal = 500;
  std::string what;
  try {
    return job();
  } catch (const std::exception& error) {
    what = error.what();
  }
  return ReadyReply({.status = kInternal}, RenderError({kInternal, "internal: " + what}), what);
}

void Deliver(Slot& slot, std::unique_ptr<HttpReply> reply) {
  const std::lock_guard lock(slot.mutex);
  if (!slot.wanted) return;
  slot.reply = std::move(reply);
  if (slot.wake) slot.reply->OnReady(std::exchange(slot.wake, nullptr));
}

bool Wanted(Slot& slot) {
  const std::lock_guard lock(slot.mutex);
  return slot.wanted;
}

}  // namespace

class Workers::Pool : public boost::asio::thread_pool {
 public:
  using thread_pool::thread_pool;
};

Workers::Workers(int threads) : pool_(std::make_unique<Pool>(static_cast<size_t>(threads))) {}

Workers::~Workers() {
  pool_->stop();
  pool_->join();
}

void Workers::Post(std::function<void()> job) { boost::asio::post(*pool_, std::move(job)); }

std::unique_ptr<HttpReply> Workers::Answer(std::function<std::unique_ptr<HttpReply>()> job) {
  auto slot = std::make_shared<Slot>();
  Post([slot, job = std::move(job)] {
    if (Wanted(*slot)) Deliver(*slot, Run(job));
  });
  return std::make_unique<JobReply>(std::move(slot));
}

}  // namespace tern
