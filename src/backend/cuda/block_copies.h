// Blocks of the cache on their way to the host and back, beside the operations.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/device_context.h"

namespace tern::cuda {

/// Backend::CopyOut and CopyIn. A block that goes out is gathered on the main stream, which takes
/// microseconds, and crosses the bus on another: its memory can be used again at once. Thread rule:
/// the backend's.
class BlockCopies {
 public:
  static Result<std::unique_ptr<BlockCopies>> Create(std::shared_ptr<DeviceContext> context);
  ~BlockCopies();
  BlockCopies(const BlockCopies&) = delete;
  BlockCopies& operator=(const BlockCopies&) = delete;

  Status Out(const StridedBytes& from, std::byte* to);
  Result<uint64_t> In(const std::byte* from, const StridedBytes& to);
  bool HasArrived(uint64_t copy);
  Status Await();

 private:
  // Device memory that blocks pass through: as many as cross the bus while one pass runs.
  static constexpr size_t kStageBytes = size_t{64} << 20;
  static constexpr size_t kMostStages = 64;

  struct Stage {
    Buffer memory;
    cudaEvent_t full = nullptr, empty = nullptr;
  };
  struct Arrival {
    uint64_t copy = 0;
    cudaEvent_t event = nullptr;
  };

  explicit BlockCopies(std::shared_ptr<DeviceContext> context) : context_(std::move(context)) {}
  Status Prepare(size_t bytes);
  Result<cudaEvent_t> NewEvent();

  const std::shared_ptr<DeviceContext> context_;
  cudaStream_t stream_ = nullptr;
  std::vector<Stage> stages_;
  size_t stage_bytes_ = 0, next_stage_ = 0;
  std::vector<cudaEvent_t> spare_events_;
  std::deque<Arrival> under_way_;
  uint64_t last_copy_ = 0, arrived_ = 0;
  cudaEvent_t before_ = nullptr;  // what a copy to the device has to wait for
};

}  // namespace tern::cuda
