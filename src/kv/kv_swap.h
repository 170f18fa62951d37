// Blocks of a cache that had to make room, in host memory.
#pragma once

#include <cstdint>
#include <vector>

#include "kv/block_allocator.h"
#include "kv/kv_cache.h"

namespace tern {

/// Moves the contents of blocks (Backend::CopyOut, CopyIn); which slot belongs to whom is the
/// scheduler's business. Memory is taken as slots are used. Thread rule: the cache's.
class KvSwap {
 public:
  /// The cache must outlive it.
  KvSwap(KvCache& cache, int64_t slots) : cache_(&cache), slots_(slots) {}

  int64_t slots() const { return slots_; }
  /// Errors: kResourceExhausted, or the backend's.
  Status Out(BlockId block, SwapSlot slot);
  /// Of a slot that a block was brought to. Returns the number that HasArrived takes.
  Result<uint64_t> In(SwapSlot slot, BlockId block);
  bool HasArrived(uint64_t copy) { return cache_->backend().HasArrived(copy); }
  /// The operations that follow come after every In so far.
  void Await() { cache_->backend().AwaitCopies(); }

 private:
  size_t BlockBytes() const { return cache_->Block(0).bytes(); }
  int64_t ChunkSlots() const;
  std::byte* At(SwapSlot slot) const;

  KvCache* cache_;
  int64_t slots_;
  std::vector<Buffer> chunks_;  // of ChunkSlots slots each
};

}  // namespace tern
