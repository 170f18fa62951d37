#include "engine/request.h"

#include <utility>

namespace tern {

RequestHandle& RequestHandle::operator=(RequestHandle&& other) {
  if (this == &other) return *this;
  Release();
  id_ = other.id_;
  channel_ = std::move(other.channel_);
  cancel_ = std::move(other.cancel_);
  return *this;
}

void RequestHandle::Release() {
  if (!channel_) return;  // moved from
  channel_->OnReady({});
  if (!channel_->Finished()) cancel_();
  channel_.reset();
}

}  // namespace tern
