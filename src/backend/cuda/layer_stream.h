// Weights that don't stay on the device: they lie in pinned host memory and come over ahead of
// their use, one layer while another is computed.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "backend/cuda/device_context.h"

namespace tern::cuda {

/// Copies go round and round in the order of the layers, on a stream of their own: as soon as a
/// layer has been computed, its buffer gets the layer after those that are there already, in the
/// next pass if need be. So the bus is busy all the time, and a layer waits for its own copy alone.
/// Thread rule: the backend's.
class LayerStream {
 public:
  /// All of `layers` layers but `keep`, spread evenly: what stays is computed while the others
  /// come. Errors: kDevice.
  static Result<std::shared_ptr<LayerStream>> Create(std::shared_ptr<DeviceContext> context,
                                                     int64_t keep, int64_t layers);
  ~LayerStream();
  LayerStream(const LayerStream&) = delete;
  LayerStream& operator=(const LayerStream&) = delete;

  bool Streams(int64_t layer) const { return Position(layer) >= 0; }
  /// Takes a matrix of a streamed layer from device memory to the host. Returns where it begins
  /// among the bytes of its layer. Errors: kResourceExhausted, for either memory; kDevice.
  Result<size_t> Keep(int64_t layer, const Buffer& matrix);

  /// The operations from here on are this layer's: waits, on the device, for its bytes.
  Status Enter(int64_t layer);
  /// Where a matrix of the layer that was entered last is.
  std::byte* At(size_t offset) const { return base_ + offset; }
  /// Whether there was a wait since the last call: the next kernel may not load weights before its
  /// predecessor has ended, for until then they may not be there.
  bool TakeWait() { return std::exchange(waited_, false); }

 private:
  static constexpr int64_t kNone = -1;

  struct Piece {
    PinnedBuffer host;
    size_t offset = 0;  // in a slot
    size_t bytes = 0;
  };
  struct Layer {
    int64_t index = 0;
    std::vector<Piece> pieces = {};
    size_t bytes = 0;
  };
  /// Device memory for one layer.
  struct Slot {
    Buffer memory;
    int64_t position = kNone;  // of the layer that is there, or on its way
    cudaEvent_t free = nullptr, arrived = nullptr;
  };

  explicit LayerStream(std::shared_ptr<DeviceContext> context) : context_(std::move(context)) {}
  int64_t Position(int64_t layer) const;
  Status Leave();
  Status Arrive(int64_t position);
  Status Fetch(Slot& slot, int64_t position);

  const std::shared_ptr<DeviceContext> context_;
  cudaStream_t stream_ = nullptr;
  std::vector<Layer> layers_;  // that are streamed, in order; a position is an index into them
  std::vector<Slot> slots_;
  size_t slot_bytes_ = 0;
  Slot* active_ = nullptr;  // whose layer was entered and not left
  std::byte* base_ = nullptr;
  bool waited_ = false;
};

}  // namespace tern::cuda
