#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory_resource>
#include <vector>

#include "memory/memory_pool.h"

namespace tern {
namespace {

TEST(MemoryPool, TiersBySize) {
  EXPECT_EQ(MemoryPool::TierOf(0, 1), MemoryTier::kBuddy);
  EXPECT_EQ(MemoryPool::TierOf(4095, 64), MemoryTier::kBuddy);
  EXPECT_EQ(MemoryPool::TierOf(1, 4096), MemoryTier::kSlab);
  EXPECT_EQ(MemoryPool::TierOf(1 << 20, 64), MemoryTier::kSlab);
  EXPECT_EQ(MemoryPool::TierOf((1 << 20) + 1, 64), MemoryTier::kMapped);
}

TEST(MemoryPool, ServesPmrContainers) {
  MemoryPool pool;
  {
    std::pmr::monotonic_buffer_resource temporary(&pool);
    std::pmr::vector<int> numbers(&temporary);
    for (int i = 0; i < 100000; ++i) numbers.push_back(i);
    EXPECT_EQ(numbers[99999], 99999);
    EXPECT_GT(pool.Statistics(MemoryTier::kSlab).live_bytes, 0u);
  }
  EXPECT_EQ(pool.Statistics(MemoryTier::kSlab).live_bytes, 0u);
}

TEST(MemoryPool, RefusesWhatItCannotGive) {
  MemoryPool pool;
  EXPECT_EQ(pool.Take(64, 8192), nullptr);
  EXPECT_EQ(pool.Take(64, 48), nullptr);
  EXPECT_EQ(pool.Take(SIZE_MAX), nullptr);
  EXPECT_EQ(pool.TakePages(SIZE_MAX), nullptr);
  EXPECT_THROW((void)pool.allocate(SIZE_MAX / 2), std::bad_alloc);
  pool.Give(nullptr, 5);
  pool.GivePages(nullptr);
}

TEST(MemoryPool, PagesAreZeroAndCounted) {
  MemoryPool pool;
  auto* block = static_cast<std::byte*>(pool.TakePages(3 << 20));
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % (2 << 20), 0u);
  for (size_t i = 0; i < size_t{3} << 20; ++i) ASSERT_EQ(block[i], std::byte{0});
  EXPECT_EQ(pool.Statistics(MemoryTier::kMapped).live_bytes, size_t{3} << 20);
  pool.GivePages(block);
  EXPECT_EQ(pool.Statistics(MemoryTier::kMapped).reserved_bytes, 0u);
  EXPECT_EQ(pool.Statistics(MemoryTier::kMapped).peak_bytes, size_t{3} << 20);
}

}  // namespace
}  // namespace tern
