#include "kv/kv_swap.h"

#include <gtest/gtest.h>

#include <cstring>

#include "registry/registry.h"

namespace tern {
namespace {

constexpr KvShape kShape{
    .layers = 3, .blocks = 6, .kv_heads = 3, .head_dim = 20, .type = KvType::kInt8};

class KvSwapTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto backend = CreateBackend(GetParam(), {.threads = 1});
    if (!backend) GTEST_SKIP() << backend.error().message;
    backend_ = std::move(*backend);
    auto cache = KvCache::Create(*backend_, kShape);
    ASSERT_TRUE(cache) << cache.error().message;
    cache_.emplace(std::move(*cache));
  }

  // A byte of its own for every layer, side and block.
  static std::byte Mark(int64_t layer, int side, BlockId block) {
    return std::byte(1 + block + 10 * side + 20 * layer);
  }
  std::byte* Piece(int64_t layer, int side, BlockId block) const {
    const KvLayer kv = cache_->Layer(layer);
    return static_cast<std::byte*>(side == 0 ? kv.k : kv.v) +
           static_cast<size_t>(block) * kShape.block_bytes();
  }
  void Fill(BlockId block, BlockId mark) {
    for (int64_t layer = 0; layer < kShape.layers; ++layer)
      for (const int side : {0, 1})
        backend_->Write(std::vector(kShape.block_bytes(), Mark(layer, side, mark)),
                        Piece(layer, side, block));
  }
  void Expect(BlockId block, BlockId mark) {
    for (int64_t layer = 0; layer < kShape.layers; ++layer)
      for (const int side : {0, 1}) {
        std::vector<std::byte> bytes(kShape.block_bytes());
        ASSERT_TRUE(backend_->Read(Piece(layer, side, block), bytes));
        EXPECT_EQ(bytes, std::vector(bytes.size(), Mark(layer, side, mark)))
            << "layer " << layer << ", side " << side << ", block " << block;
      }
  }

  std::unique_ptr<Backend> backend_;
  std::optional<KvCache> cache_;
};

TEST_P(KvSwapTest, BlocksComeBackToOtherPlacesAndNothingElseChanges) {
  for (BlockId block = 0; block < 6; ++block) Fill(block, block);
  KvSwap swap(*cache_, 4);
  // Slots in any order; a block is written to as soon as it is out.
  const std::pair<BlockId, SwapSlot> moves[] = {{0, 3}, {4, 0}, {5, 2}, {2, 1}};
  for (const auto& [block, slot] : moves) {
    ASSERT_TRUE(swap.Out(block, slot));
    Fill(block, 9);
  }
  const auto first = swap.In(3, 5), second = swap.In(2, 0);
  ASSERT_TRUE(first && second);
  swap.Await();
  Expect(5, 0);
  Expect(0, 5);
  ASSERT_TRUE(backend_->Synchronize());
  EXPECT_TRUE(swap.HasArrived(*first));
  EXPECT_TRUE(swap.HasArrived(*second));
  for (const BlockId block : {1, 3}) Expect(block, block);
  for (const BlockId block : {2, 4}) Expect(block, 9);
  // A slot is used again after what was in it is on its way.
  ASSERT_TRUE(swap.In(0, 2));
  ASSERT_TRUE(swap.Out(1, 0));
  ASSERT_TRUE(swap.In(0, 4));
  swap.Await();
  Expect(2, 4);
  Expect(4, 1);
}

TEST_P(KvSwapTest, ManyAtOnceThroughFewStages) {
  KvSwap swap(*cache_, 400);
  for (SwapSlot slot = 0; slot < 400; ++slot) {
    Fill(slot % 6, slot % 7);
    ASSERT_TRUE(swap.Out(slot % 6, slot));
  }
  for (SwapSlot slot = 400; slot-- > 0;) {
    ASSERT_TRUE(swap.In(slot, slot % 6));
    if (slot % 50 > 3) continue;
    swap.Await();
    Expect(slot % 6, slot % 7);
  }
}

INSTANTIATE_TEST_SUITE_P(All, KvSwapTest, testing::Values("cpu", "reference"));
INSTANTIATE_TEST_SUITE_P(Gpu, KvSwapTest, testing::Values("cuda"));

}  // namespace
}  // namespace tern
