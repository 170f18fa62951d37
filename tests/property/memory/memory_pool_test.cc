#include "memory/memory_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <thread>
#include <vector>

#include "base/rng.h"

namespace tern {
namespace {

struct Block {
  size_t bytes;
  size_t alignment;
  uint8_t mark;
};

constexpr MemoryPool::Sources kAllOwn = {TierSource::kPool, TierSource::kPool};

size_t RandomBytes(Rng& rng) {
  const uint64_t shift = rng.Next() % 22;  // sizes of every tier about equally often
  return static_cast<size_t>(rng.Next() % (uint64_t{2} << shift));
}

/// Random takes and gives against a map of what must be live.
void Compare(MemoryPool::Sources sources, uint64_t seed) {
  MemoryPool pool(sources);
  Rng rng(seed);
  std::map<std::byte*, Block> live;
  uint64_t bytes_by_tier[kMemoryTiers] = {};
  uint64_t peak_by_tier[kMemoryTiers] = {};
  for (int step = 0; step < 4000; ++step) {
    if (live.empty() || rng.Next() % 100 < (step < 3000 ? 55 : 20)) {
      const Block block{RandomBytes(rng), size_t{1} << rng.Next() % 13,
                        static_cast<uint8_t>(rng.Next())};
      auto* at = static_cast<std::byte*>(pool.Take(block.bytes, block.alignment));
      ASSERT_NE(at, nullptr);
      ASSERT_EQ(reinterpret_cast<uintptr_t>(at) % std::max<size_t>(block.alignment, 64), 0u);
      const auto next = live.lower_bound(at);
      if (next != live.end()) {
        ASSERT_LE(at + std::max<size_t>(block.bytes, 1), next->first);
      }
      if (next != live.begin()) {
        const auto before = std::prev(next);
        ASSERT_GE(at, before->first + std::max<size_t>(before->second.bytes, 1));
      }
      std::memset(at, block.mark, block.bytes);
      live.emplace(at, block);
      const auto tier = static_cast<size_t>(MemoryPool::TierOf(block.bytes, block.alignment));
      bytes_by_tier[tier] += block.bytes;
      peak_by_tier[tier] = std::max(peak_by_tier[tier], bytes_by_tier[tier]);
    } else {
      auto found = std::next(live.begin(), static_cast<long>(rng.Next() % live.size()));
      const auto [at, block] = *found;
      for (size_t i = 0; i < block.bytes; i += 61)
        ASSERT_EQ(static_cast<uint8_t>(at[i]), block.mark);
      pool.Give(at, block.bytes, block.alignment);
      bytes_by_tier[static_cast<size_t>(MemoryPool::TierOf(block.bytes, block.alignment))] -=
          block.bytes;
      live.erase(found);
    }
  }
  uint64_t blocks = 0;
  for (size_t tier = 0; tier < kMemoryTiers; ++tier) {
    const TierStatistics counts = pool.Statistics(static_cast<MemoryTier>(tier));
    EXPECT_EQ(counts.live_bytes, bytes_by_tier[tier]);
    EXPECT_EQ(counts.peak_bytes, peak_by_tier[tier]);
    EXPECT_GE(counts.reserved_bytes, counts.live_bytes);
    EXPECT_GE(counts.Fragmentation(), 0);
    EXPECT_LE(counts.Fragmentation(), 1);
    blocks += counts.blocks;
  }
  EXPECT_EQ(blocks, live.size());
  for (const auto& [at, block] : live) pool.Give(at, block.bytes, block.alignment);
  for (size_t tier = 0; tier < kMemoryTiers; ++tier) {
    const TierStatistics counts = pool.Statistics(static_cast<MemoryTier>(tier));
    EXPECT_EQ(counts.blocks, 0u);
    EXPECT_EQ(counts.live_bytes, 0u);
  }
  // Buddies have all found each other again.
  if (sources.buddy == TierSource::kPool) {
    EXPECT_EQ(pool.Statistics(MemoryTier::kBuddy).reserved_bytes, BuddyTier::kChunk);
  }
}

TEST(MemoryPoolProperty, AgreesWithAMapOfBlocks) {
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    Compare(kAllOwn, seed);
    Compare({}, seed);
  }
}

TEST(MemoryPoolProperty, ThreadsShareIt) {
  MemoryPool pool(kAllOwn);
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t)
    threads.emplace_back([&pool, t] {
      Rng rng(t + 1);
      for (int i = 0; i < 500; ++i) {
        const size_t bytes = RandomBytes(rng) / 4 + 1;
        auto* at = static_cast<std::byte*>(pool.Take(bytes));
        std::memset(at, static_cast<int>(t), bytes);
        EXPECT_EQ(static_cast<uint64_t>(at[bytes - 1]), t);
        pool.Give(at, bytes);
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (size_t tier = 0; tier < kMemoryTiers; ++tier)
    EXPECT_EQ(pool.Statistics(static_cast<MemoryTier>(tier)).live_bytes, 0u);
}

}  // namespace
}  // namespace tern
