// Another backend with a clock around every operation.
#pragma once

#include <chrono>
#include <memory>
#include <string_view>

#include "backend/backend.h"
#include "backend/trace/op_cost.h"

namespace tern {

/// One operation that has run.
struct OpCall {
  std::string_view op;            // as Backend names it: "Linear"
  int64_t layer = kNoLayer;       // that the caller announced (Backend::BeginLayer)
  int64_t rows = 0;               // of activations
  const void* weights = nullptr;  // the PackedTernary or TokenTable of Linear, LinearGated, Embed
                                  // and Logits: which of the model's it was
  OpCost cost;
  std::chrono::steady_clock::time_point begin, end;

  double seconds() const { return std::chrono::duration<double>(end - begin).count(); }
};

/// Gets the operations. Thread rule: called on the thread that calls the backend.
class OpObserver {
 public:
  virtual ~OpObserver() = default;
  /// Asked before each operation; false: it runs as if there were no clock.
  virtual bool wants_ops() const noexcept = 0;
  /// Its time counts to nobody's operation.
  virtual void OnOp(const OpCall& call) noexcept = 0;
};

/// The results, weights and buffers are `inner`'s own. synchronize: waits for each operation that
/// is observed, so that a device that works through a queue has done it when the clock stops;
/// without, the time is that of the call. A device's fault met while waiting is what the next
/// Synchronize() returns. The observer must outlive the backend.
std::unique_ptr<Backend> CreateTraceBackend(std::unique_ptr<Backend> inner, OpObserver& observer,
                                            bool synchronize = true);

}  // namespace tern
