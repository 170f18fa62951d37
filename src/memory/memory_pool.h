// A pool in three tiers, after what blocks of a size need: buddies below 4 KiB, slabs up to 1 MiB,
// mapped pages above.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <unordered_map>

#include "memory/buddy_tier.h"
#include "memory/slab_tier.h"

namespace tern {

enum class MemoryTier : uint8_t { kBuddy, kSlab, kMapped };
inline constexpr size_t kMemoryTiers = 3;

/// "buddy", "slab", "mapped".
std::string_view Name(MemoryTier tier);

struct TierStatistics {
  uint64_t blocks = 0;          // live
  uint64_t live_bytes = 0;      // as they were asked for
  uint64_t peak_bytes = 0;      // most of live_bytes so far
  uint64_t reserved_bytes = 0;  // held from the system, live or not
  uint64_t allocations = 0;     // so far

  /// Share of what is held that nobody asked for: rounding, and room not in use. 0 to 1.
  double Fragmentation() const {
    if (reserved_bytes == 0) return 0;
    return 1 - static_cast<double>(live_bytes) / static_cast<double>(reserved_bytes);
  }
};

/// Who serves a tier below the mapped one.
enum class TierSource : uint8_t { kPool, kSystem };

/// Thread rule: safe to share, one lock around everything. Blocks must be freed before the pool.
/// As a std::pmr::memory_resource it serves by use: directly for what persists; below a
/// std::pmr::monotonic_buffer_resource for what is temporary and goes at once. What leaves in the
/// order it came is a handful of small objects here, and malloc's.
class MemoryPool : public std::pmr::memory_resource {
 public:
  static constexpr size_t kAlignment = 64;       // of every block
  static constexpr size_t kMaxAlignment = 4096;  // that can be asked for
  static constexpr size_t kSlabFrom = 4096;      // bytes
  static constexpr size_t kMappedFrom = (size_t{1} << 20) + 1;

  struct Sources {
    TierSource buddy = TierSource::kSystem;  // measured: ADR 19
    TierSource slab = TierSource::kPool;
  };

  MemoryPool() : MemoryPool(Sources()) {}
  explicit MemoryPool(Sources sources) : sources_(sources) {}
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;
  ~MemoryPool() override = default;

  /// nullptr when there is no memory, or for an alignment above kMaxAlignment (or not a power of
  /// two). bytes may be 0. Contents are not set.
  void* Take(size_t bytes, size_t alignment = kAlignment) noexcept;
  /// bytes and alignment as they were asked for.
  void Give(void* block, size_t bytes, size_t alignment = kAlignment) noexcept;

  /// A block of the mapped tier whatever its size: zeroed, in huge pages from 2 MiB on, each page
  /// on the memory node of who touches it first. nullptr when there is no memory. Goes back by
  /// GivePages.
  void* TakePages(size_t bytes) noexcept;
  void GivePages(void* block) noexcept;

  TierStatistics Statistics(MemoryTier tier) const;

  static MemoryTier TierOf(size_t bytes, size_t alignment);

 private:
  struct Pages {
    std::shared_ptr<std::byte> memory;
    size_t bytes = 0;
  };

  void* do_allocate(size_t bytes, size_t alignment) override;  // throws std::bad_alloc
  void do_deallocate(void* block, size_t bytes, size_t alignment) override {
    Give(block, bytes, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
    return this == &other;
  }

  void* TakeMapped(size_t bytes);
  void GiveMapped(void* block);
  void CountIn(MemoryTier tier, size_t bytes);
  void CountOut(MemoryTier tier, size_t bytes);
  bool FromSystem(MemoryTier tier) const {
    return (tier == MemoryTier::kBuddy ? sources_.buddy : sources_.slab) == TierSource::kSystem;
  }

  const Sources sources_;
  mutable std::mutex mutex_;
  BuddyTier buddy_;
  SlabTier slab_;
  std::unordered_map<void*, Pages> pages_;
  uint64_t mapped_bytes_ = 0;
  std::array<TierStatistics, kMemoryTiers> statistics_;
};

}  // namespace tern
