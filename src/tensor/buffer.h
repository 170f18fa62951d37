// Owned memory of a backend.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace tern {

/// Move-only block of bytes, on the host or on a device, freed by whoever allocated it.
class Buffer {
 public:
  using Deleter = std::function<void(void*)>;

  Buffer() = default;
  Buffer(void* data, size_t bytes, Deleter deleter)
      : data_(data, std::move(deleter)), bytes_(bytes) {}

  size_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_.get());
  }

 private:
  std::unique_ptr<void, Deleter> data_;
  size_t bytes_ = 0;
};

}  // namespace tern
