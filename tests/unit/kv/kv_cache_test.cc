#include "kv/kv_cache.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "registry/registry.h"

namespace tern {
namespace {

constexpr KvShape kShape{
    .layers = 2, .blocks = 5, .kv_heads = 3, .head_dim = 20, .type = KvType::kF16};

std::unique_ptr<Backend> AnyBackend() {
  auto backend = CreateBackend("auto", {.threads = 1});
  EXPECT_TRUE(backend);
  return std::move(*backend);
}

std::span<std::byte> Keys(const KvCache& cache, int64_t layer, BlockId block) {
  const size_t bytes = cache.shape().block_bytes();
  return {static_cast<std::byte*>(cache.Layer(layer).k) + static_cast<size_t>(block) * bytes,
          bytes};
}
std::span<std::byte> Values(const KvCache& cache, int64_t layer, BlockId block) {
  const size_t bytes = cache.shape().block_bytes();
  return {static_cast<std::byte*>(cache.Layer(layer).v) + static_cast<size_t>(block) * bytes,
          bytes};
}

TEST(KvShape, CountsEveryByte) {
  EXPECT_EQ(kShape.positions(), 160);
  EXPECT_EQ(kShape.bytes(), size_t{2 * 2 * 160 * 3 * 20 * 2});
  KvShape wide = kShape;
  wide.type = KvType::kF32;
  EXPECT_EQ(wide.bytes(), 2 * kShape.bytes());
  KvShape narrow = kShape;
  narrow.type = KvType::kInt8;  // and a step of four bytes a position and head
  EXPECT_EQ(narrow.bytes(), size_t{2 * 2 * 160 * 3 * (20 + 4)});
}

TEST(KvCache, CopyBlockTakesAllLayersOfOneBlock) {
  const auto backend = AnyBackend();
  auto cache = KvCache::Create(*backend, kShape);
  ASSERT_TRUE(cache);
  for (int64_t layer = 0; layer < 2; ++layer)
    for (BlockId block = 0; block < 5; ++block) {
      std::ranges::fill(Keys(*cache, layer, block), std::byte(10 * block + layer));
      std::ranges::fill(Values(*cache, layer, block), std::byte(10 * block + layer + 100));
    }
  ASSERT_TRUE(cache->CopyBlock(1, 3));
  ASSERT_TRUE(cache->CopyBlock(4, 4));
  for (int64_t layer = 0; layer < 2; ++layer)
    for (BlockId block = 0; block < 5; ++block) {
      const BlockId from = block == 3 ? 1 : block;
      const auto is = [](std::byte want) { return [=](std::byte b) { return b == want; }; };
      EXPECT_TRUE(
          std::ranges::all_of(Keys(*cache, layer, block), is(std::byte(10 * from + layer))));
      EXPECT_TRUE(std::ranges::all_of(Values(*cache, layer, block),
                                      is(std::byte(10 * from + layer + 100))));
    }
}

TEST(KvCache, ABlockThatIsNotThereIsAnError) {
  const auto backend = AnyBackend();
  auto cache = KvCache::Create(*backend, kShape);
  ASSERT_TRUE(cache);
  for (const auto& [from, to] : {std::pair{0, 5}, {5, 0}, {-1, 0}, {0, -1}}) {
    const Status copied = cache->CopyBlock(from, to);
    ASSERT_FALSE(copied);
    EXPECT_EQ(copied.error().code, Code::kInvalidArgument);
  }
}

TEST(KvCache, TooManyBlocksAreAnError) {
  const auto backend = AnyBackend();
  KvShape shape = kShape;
  shape.blocks = int64_t{1} << 48;
  const auto cache = KvCache::Create(*backend, shape);
  ASSERT_FALSE(cache);
  EXPECT_EQ(cache.error().code, Code::kResourceExhausted);
}

TEST(KvCache, HeadsTooLongForExactSumsAreAnError) {
  const auto backend = AnyBackend();
  KvShape shape = kShape;
  shape.type = KvType::kInt8;
  shape.head_dim = kMaxInt8HeadDim;
  EXPECT_TRUE(KvCache::Create(*backend, shape));
  shape.head_dim = kMaxInt8HeadDim + 2;
  const auto cache = KvCache::Create(*backend, shape);
  ASSERT_FALSE(cache);
  EXPECT_EQ(cache.error().code, Code::kUnsupported);
}

TEST(IdentityTable, HasABlockForEveryPosition) {
  EXPECT_EQ(IdentityTable(0), std::vector<BlockId>{});
  EXPECT_EQ(IdentityTable(32), std::vector<BlockId>{0});
  EXPECT_EQ(IdentityTable(65, 7), (std::vector<BlockId>{7, 8, 9}));
}

}  // namespace
}  // namespace tern
