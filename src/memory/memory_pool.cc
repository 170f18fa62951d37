#include "memory/memory_pool.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

#include "base/math.h"
#include "platform/pages.h"

namespace tern {
namespace {

/// Room for alignment is found by rounding the size up to it.
size_t Padded(size_t bytes, size_t alignment) {
  return std::max({bytes, alignment, MemoryPool::kAlignment});
}

}  // namespace

std::string_view Name(MemoryTier tier) {
  constexpr std::array<std::string_view, kMemoryTiers> kNames = {"buddy", "slab", "mapped"};
  return kNames[static_cast<size_t>(tier)];
}

MemoryTier MemoryPool::TierOf(size_t bytes, size_t alignment) {
  const size_t padded = Padded(bytes, alignment);
  if (padded < kSlabFrom) return MemoryTier::kBuddy;
  return padded < kMappedFrom ? MemoryTier::kSlab : MemoryTier::kMapped;
}

void* MemoryPool::Take(size_t bytes, size_t alignment) noexcept {
  if (alignment > kMaxAlignment || !std::has_single_bit(alignment)) return nullptr;
  const MemoryTier tier = TierOf(bytes, alignment);
  const size_t padded = Padded(bytes, alignment);
  const std::lock_guard lock(mutex_);
  void* block = nullptr;
  if (tier == MemoryTier::kMapped) {
    block = TakeMapped(padded);
  } else if (FromSystem(tier)) {
    const size_t unit = std::max(alignment, kAlignment);
    block = std::aligned_alloc(unit, AlignUp(padded, unit));
  } else {
    block = tier == MemoryTier::kBuddy ? buddy_.Take(padded) : slab_.Take(padded);
  }
  if (block != nullptr) CountIn(tier, bytes);
  return block;
}

void MemoryPool::Give(void* block, size_t bytes, size_t alignment) noexcept {
  if (block == nullptr) return;
  const MemoryTier tier = TierOf(bytes, alignment);
  const std::lock_guard lock(mutex_);
  CountOut(tier, bytes);
  if (tier == MemoryTier::kMapped) return GiveMapped(block);
  if (FromSystem(tier)) return std::free(block);
  if (tier == MemoryTier::kBuddy) return buddy_.Give(block);
  slab_.Give(block, Padded(bytes, alignment));
}

void* MemoryPool::TakePages(size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  void* block = TakeMapped(bytes);
  if (block != nullptr) CountIn(MemoryTier::kMapped, bytes);
  return block;
}

void MemoryPool::GivePages(void* block) noexcept {
  if (block == nullptr) return;
  const std::lock_guard lock(mutex_);
  CountOut(MemoryTier::kMapped, pages_.at(block).bytes);
  GiveMapped(block);
}

void* MemoryPool::TakeMapped(size_t bytes) {
  std::shared_ptr<std::byte> memory = AllocatePages(bytes);
  if (memory == nullptr) return nullptr;
  void* block = memory.get();
  mapped_bytes_ += bytes;
  pages_.emplace(block, Pages{std::move(memory), bytes});
  return block;
}

void MemoryPool::GiveMapped(void* block) {
  const auto found = pages_.find(block);
  mapped_bytes_ -= found->second.bytes;
  pages_.erase(found);
}

void MemoryPool::CountIn(MemoryTier tier, size_t bytes) {
  TierStatistics& counts = statistics_[static_cast<size_t>(tier)];
  ++counts.blocks;
  ++counts.allocations;
  counts.live_bytes += bytes;
  counts.peak_bytes = std::max(counts.peak_bytes, counts.live_bytes);
}

void MemoryPool::CountOut(MemoryTier tier, size_t bytes) {
  TierStatistics& counts = statistics_[static_cast<size_t>(tier)];
  --counts.blocks;
  counts.live_bytes -= bytes;
}

TierStatistics MemoryPool::Statistics(MemoryTier tier) const {
  const std::lock_guard lock(mutex_);
  TierStatistics counts = statistics_[static_cast<size_t>(tier)];
  if (tier == MemoryTier::kMapped) {
    counts.reserved_bytes = mapped_bytes_;
  } else if (FromSystem(tier)) {
    counts.reserved_bytes = counts.live_bytes;  // what the system holds for it is not known
  } else {
    counts.reserved_bytes =
        tier == MemoryTier::kBuddy ? buddy_.reserved_bytes() : slab_.reserved_bytes();
  }
  return counts;
}

void* MemoryPool::do_allocate(size_t bytes, size_t alignment) {
  void* block = Take(bytes, alignment);
  if (block == nullptr) throw std::bad_alloc();  // the contract of std::pmr
  return block;
}

}  // namespace tern
