#include "memory/buddy_tier.h"

#include <algorithm>
#include <bit>
#include <new>

namespace tern {
namespace {

constexpr uint8_t kIsFree = 0x80;

}  // namespace

std::byte* BuddyTier::Base(void* block) {
  const auto address = reinterpret_cast<uintptr_t>(block);
  return static_cast<std::byte*>(block) - address % kChunk;
}

void BuddyTier::Push(FreeBlock* block, size_t order) {
  *block = {free_[order], nullptr};
  if (free_[order] != nullptr) free_[order]->previous = block;
  free_[order] = block;
}

void BuddyTier::Remove(FreeBlock* block, size_t order) {
  if (block->previous != nullptr) {
    block->previous->next = block->next;
  } else {
    free_[order] = block->next;
  }
  if (block->next != nullptr) block->next->previous = block->previous;
}

bool BuddyTier::AddChunk() {
  auto chunk = std::unique_ptr<Chunk>(new (std::nothrow) Chunk);
  if (chunk == nullptr) return false;
  chunk->memory.reset(static_cast<std::byte*>(std::aligned_alloc(kChunk, kChunk)));
  std::byte* base = chunk->memory.get();
  if (base == nullptr) return false;
  for (size_t at = 0; at < kChunk; at += kLargest) {
    chunk->state[at / kSmallest] = kIsFree | (kOrders - 1);
    Push(reinterpret_cast<FreeBlock*>(base + at), kOrders - 1);
  }
  chunks_.emplace(base, std::move(chunk));
  return true;
}

void* BuddyTier::Take(size_t bytes) {
  const auto wanted =
      static_cast<size_t>(std::bit_width((std::max(bytes, kSmallest) - 1) / kSmallest));
  size_t order = wanted;
  while (order < kOrders && free_[order] == nullptr) ++order;
  if (order == kOrders) {
    if (!AddChunk()) return nullptr;
    order = kOrders - 1;
  }
  FreeBlock* block = free_[order];
  Remove(block, order);
  Chunk& chunk = *chunks_.at(Base(block));
  const auto unit =
      static_cast<size_t>(reinterpret_cast<std::byte*>(block) - Base(block)) / kSmallest;
  while (order > wanted) {
    --order;
    const size_t half = unit + (size_t{1} << order);
    chunk.state[half] = static_cast<uint8_t>(kIsFree | order);
    Push(reinterpret_cast<FreeBlock*>(chunk.memory.get() + half * kSmallest), order);
  }
  chunk.state[unit] = static_cast<uint8_t>(order);
  ++chunk.live;
  return block;
}

void BuddyTier::Give(void* memory) {
  std::byte* base = Base(memory);
  Chunk& chunk = *chunks_.at(base);
  size_t unit = static_cast<size_t>(static_cast<std::byte*>(memory) - base) / kSmallest;
  size_t order = chunk.state[unit];
  for (; order + 1 < kOrders; ++order) {
    const size_t buddy = unit ^ (size_t{1} << order);
    if (chunk.state[buddy] != (kIsFree | order)) break;
    Remove(reinterpret_cast<FreeBlock*>(base + buddy * kSmallest), order);
    unit = std::min(unit, buddy);
  }
  chunk.state[unit] = static_cast<uint8_t>(kIsFree | order);
  Push(reinterpret_cast<FreeBlock*>(base + unit * kSmallest), order);
  --chunk.live;
  if (chunk.live > 0 || chunks_.size() == 1) return;
  // An empty chunk goes back to the system; the last one stays for the next block.
  for (size_t at = 0; at < kChunk; at += kLargest)
    Remove(reinterpret_cast<FreeBlock*>(base + at), kOrders - 1);
  chunks_.erase(base);
}

}  // namespace tern
