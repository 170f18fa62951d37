// A GPU with a stream, memory and the way there and back.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernels/launch.h"
#include "base/result.h"
#include "tensor/buffer.h"

namespace tern::cuda {

/// kDevice with the runtime's name and text of the error, kResourceExhausted when memory is short.
Status ToStatus(cudaError_t error, std::string_view what);

/// Host memory that the GPU copies from and to by itself.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  /// Grows to at least `bytes`; what it held is lost.
  Status Reserve(size_t bytes);
  std::byte* data() const { return data_.get(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(std::byte* p) const { (void)cudaFreeHost(p); }
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t bytes_ = 0;
};

/// Bytes of the stream-ordered pool that buffers come from.
struct DeviceMemoryStats {
  uint64_t used = 0;
  uint64_t used_peak = 0;
  uint64_t reserved = 0;
};

/// Everything happens on one stream, in the order of the calls. Thread rule: one caller at a time.
class DeviceContext : public std::enable_shared_from_this<DeviceContext> {
 public:
  static Result<std::shared_ptr<DeviceContext>> Create(int device);
  ~DeviceContext();
  DeviceContext(const DeviceContext&) = delete;
  DeviceContext& operator=(const DeviceContext&) = delete;

  const CudaDevice& device() const { return device_; }
  cudaStream_t stream() const { return stream_; }
  /// The runtime's current device is the thread's own.
  void MakeCurrent() const { (void)cudaSetDevice(device_.index); }
  Launch NewLaunch(bool dependent) const {
    return {stream_, dependent, device_.multiprocessors, device_.compute};
  }

  /// Zeroed, aligned to 256 bytes, and kSlack readable bytes behind. The buffer keeps the context.
  Result<Buffer> Allocate(size_t bytes);
  /// On the host, for copies beside the stream; waits for all of them before it goes.
  Result<Buffer> AllocatePinned(size_t bytes);
  uint64_t FreeMemory() const;
  DeviceMemoryStats MemoryStats() const;
  /// Whoever copies between host and device counts it.
  void CountToDevice(size_t bytes) { to_device_ += bytes; }
  void CountToHost(size_t bytes) { to_host_ += bytes; }
  /// Any thread.
  BackendTransfers transfers() const { return {to_device_, to_host_}; }
  /// Changes whenever memory was given or taken.
  uint64_t generation() const { return generation_; }

  /// From pageable memory, through pinned buffers: one is filled while others are on their way.
  Status Upload(std::span<const std::byte> from, void* to);
  Status Download(const void* from, std::span<std::byte> to);

  /// Waits. Errors: the first fault since the last call. A launch that failed is over with that; a
  /// device that is lost stays so.
  Status Synchronize(std::string_view what);
  /// Notes a fault that a launch left with the runtime.
  void NoteLaunch(std::string_view what);

 private:
  static constexpr size_t kSlack = 512;
  static constexpr size_t kStageBytes = size_t{8} << 20;
  static constexpr int kStages = 4;

  struct Stage {
    PinnedBuffer buffer;
    cudaEvent_t free = nullptr;  // when its last copy is done
  };

  DeviceContext() = default;

  CudaDevice device_;
  cudaStream_t stream_ = nullptr;
  cudaMemPool_t pool_ = nullptr;
  std::vector<Stage> stages_;
  size_t next_stage_ = 0;
  uint64_t generation_ = 0;
  std::atomic<uint64_t> to_device_ = 0, to_host_ = 0;  // bytes
  Status fault_;
};

}  // namespace tern::cuda
