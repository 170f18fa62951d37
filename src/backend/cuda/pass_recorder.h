// Forward passes recorded as CUDA graphs.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <tuple>

#include "backend/cuda/device_context.h"

namespace tern::cuda {

/// What passes must agree in to launch the same kernels with the same arguments.
struct PassShape {
  int64_t rows = 0;
  int64_t logit_rows = 0;
  int singles = 0;
  int runs = 0;
  bool alone = false;
  int chunk_positions = 0;
  const void* buffers = nullptr;
  const void* cache = nullptr;
  PassOutput output = PassOutput::kLogits;

  auto operator<=>(const PassShape&) const = default;
};

/// A shape's first pass runs as it is (kernels are loaded, scratch memory is found), the second is
/// recorded and run, later ones are replayed. Thread rule: the backend's.
class PassRecorder {
 public:
  enum class Action : uint8_t { kRun, kRecord, kReplayed };

  /// Replays, or says what to do. All recordings go when the generation of the memory they point to
  /// has changed.
  Result<Action> Begin(DeviceContext& context, const PassShape& shape);
  /// Ends what Begin has begun with kRecord.
  Status EndRecording(DeviceContext& context);
  /// The number of recordings.
  size_t size() const { return recordings_.size(); }

 private:
  static constexpr size_t kMaxRecordings = 64;

  struct Destroy {
    void operator()(cudaGraphExec_t graph) const { (void)cudaGraphExecDestroy(graph); }
  };
  using Graph = std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, Destroy>;
  struct Recording {
    Graph graph;  // null: seen once
    uint64_t used = 0;
  };

  std::map<PassShape, Recording> recordings_;
  PassShape current_;
  uint64_t generation_ = 0;
  uint64_t clock_ = 0;
};

}  // namespace tern::cuda
