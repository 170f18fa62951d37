// Keys and values of past positions.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/backend.h"

namespace tern {

struct KvShape {
  int64_t layers = 0;
  int64_t slots = 0;     // sequences held at once
  int64_t capacity = 0;  // positions a sequence can have
  int64_t kv_cols = 0;   // kv_heads * head_dim

  size_t bytes() const {
    return static_cast<size_t>(2 * layers * slots * capacity * kv_cols) * sizeof(float);
  }
};

/// Float32 storage for every layer, one contiguous run of positions a slot. Which position is valid
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
