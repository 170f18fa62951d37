// The seam between the engine and whatever runs a forward pass.
#pragma once

#include <span>

#include "backend/backend.h"
#include "kv/kv_cache.h"

namespace tern {

/// Tokens of one or several sequences, in any mix of prefill and decode. A sequence's rows stand in
/// increasing position, and all its earlier positions are in the cache already or in this batch.
struct Batch {
  std::span<const TokenId> tokens;      // (rows), each in [0, vocab)
  std::span<const int32_t> positions;   // (rows), each below the cache's capacity
  std::span<const int32_t> slots;       // (rows), cache slot of the row's sequence
  std::span<const int32_t> logit_rows;  // rows whose logits are wanted
};

/// Thread rule: one caller at a time.
class Executor {
 public:
  virtual ~Executor() = default;

  /// Largest number of rows of a batch.
  virtual int64_t max_rows() const = 0;

  /// Runs the batch, extends the cache, returns logits (logit_rows.size(), vocab), valid until the
  /// next call. A row's result does not depend on the other sequences of the batch. Errors:
  /// kInvalidArgument for ids, positions or slots out of range, kDevice.
  virtual Result<FloatView> Forward(const Batch& batch, KvCache& cache) = 0;
};

}  // namespace tern
