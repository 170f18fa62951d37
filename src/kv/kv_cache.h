// Keys and values of past positions.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "backend/kv_layout.h"

namespace tern {

struct KvShape {
  int64_t layers = 0;
  int64_t slots = 0;     // sequences held at once
  int64_t capacity = 0;  // positions a sequence can have
  int64_t kv_cols = 0;   // kv_heads * head_dim
  KvType type = KvType::kF32;

  /// Positions that a slot has memory for.
  int64_t stored() const {
    return type == KvType::kF32 ? capacity
                                : (capacity + kKvPositions - 1) / kKvPositions * kKvPositions;
  }
  /// Of the keys, or of the values, of one layer.
  size_t side_bytes() const {
    return static_cast<size_t>(slots * stored() * kv_cols) *
           (type == KvType::kF32 ? sizeof(float) : sizeof(uint16_t));
  }
  size_t bytes() const { return 2 * static_cast<size_t>(layers) * side_bytes(); }
};

/// Storage for every layer, one contiguous run of positions a slot. Which position is valid
/// is the caller's business: a sequence starts over by writing at position 0 again. Thread rule:
/// used by the executor's thread alone.
class KvCache {
 public:
  /// Errors: kResourceExhausted, with the bytes wanted.
  static Result<KvCache> Create(Backend& backend, const KvShape& shape);

  const KvShape& shape() const { return shape_; }
  KvLayer Layer(int64_t layer) const;

 private:
  KvShape shape_;
  std::vector<Buffer> k_, v_;
};

}  // namespace tern
