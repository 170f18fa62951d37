// Keys and values of past positions, in blocks that sequences' tables name.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "backend/kv_layout.h"

namespace tern {

struct KvShape {
  int64_t layers = 0;
  int64_t blocks = 0;  // of kBlockPositions positions
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  KvType type = KvType::kF32;

  int64_t positions() const { return blocks * kBlockPositions; }
  /// Of the keys, or of the values, of a block in one layer.
  size_t block_bytes() const { return static_cast<size_t>(kv_heads) * PieceBytes(type, head_dim); }
  size_t bytes() const { return 2 * static_cast<size_t>(layers * blocks) * block_bytes(); }
};

/// Storage for every layer. Which block belongs to which sequence, and which of its positions are
/// valid, is the business of who makes the tables. Thread rule: used by the executor's thread
/// alone.
class KvCache {
 public:
  /// The backend must outlive the cache. Errors: kResourceExhausted, with the bytes wanted;
  /// kUnsupported for int8 with heads longer than kMaxInt8HeadDim.
  static Result<KvCache> Create(Backend& backend, const KvShape& shape);

  const KvShape& shape() const { return shape_; }
  KvLayer Layer(int64_t layer) const;
  /// All layers' keys and values of a block that is there.
  StridedBytes Block(BlockId block) const;
  Backend& backend() const { return *backend_; }
  /// All layers of a block, to a sequence that goes on in a way of its own. Errors:
  /// kInvalidArgument for a block that isn't there.
  Status CopyBlock(BlockId from, BlockId to);

 private:
  Backend* backend_ = nullptr;
  KvShape shape_;
  // Keys, then values, of each layer: (2 * layers) times side_bytes_.
  Buffer memory_;
  size_t side_bytes_ = 0;
};

/// The table of a sequence that owns block `first` and those after it, as many as positions take.
std::vector<BlockId> IdentityTable(int64_t positions, BlockId first = 0);

}  // namespace tern
