#include "kv/kv_swap.h"

#include <algorithm>

namespace tern {
namespace {

constexpr size_t kChunkBytes = size_t{32} << 20;  // a page-locked allocation of this takes 10 ms

}  // namespace

int64_t KvSwap::ChunkSlots() const {
  const size_t block = std::max<size_t>(BlockBytes(), 1);
  return std::clamp<int64_t>(static_cast<int64_t>(kChunkBytes / block), 1,
                             std::max<int64_t>(slots_, 1));
}

std::byte* KvSwap::At(SwapSlot slot) const {
  const int64_t chunk = slot / ChunkSlots();
  return chunks_[static_cast<size_t>(chunk)].as<std::byte>() +
         static_cast<size_t>(slot % ChunkSlots()) * BlockBytes();
}

Status KvSwap::Out(BlockId block, SwapSlot slot) {
  while (std::ssize(chunks_) * ChunkSlots() <= slot) {
    TERN_ASSIGN_OR_RETURN(Buffer chunk, cache_->backend().AllocateHost(
                                            static_cast<size_t>(ChunkSlots()) * BlockBytes()));
    chunks_.push_back(std::move(chunk));
  }
  return cache_->backend().CopyOut(cache_->Block(block), At(slot));
}

Result<uint64_t> KvSwap::In(SwapSlot slot, BlockId block) {
  return cache_->backend().CopyIn(At(slot), cache_->Block(block));
}

}  // namespace tern
