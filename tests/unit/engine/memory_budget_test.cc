#include "engine/memory_budget.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

constexpr MemoryNeeds kNeeds = {
    .weights = 1000, .buffers = 100, .block = 10, .context = 64, .sequences = 8};

TEST(PlanKvBlocks, TheContextOfEverySequenceWhereNothingLimits) {
  EXPECT_EQ(PlanKvBlocks(kNeeds, {}), 16);
  MemoryNeeds odd = kNeeds;
  odd.context = 65;
  EXPECT_EQ(PlanKvBlocks(odd, {}), 24);
}

TEST(PlanKvBlocks, ABudgetIsForAllOfIt) {
  EXPECT_EQ(PlanKvBlocks(kNeeds, {.budget = 2000}), 16);
  EXPECT_EQ(PlanKvBlocks(kNeeds, {.budget = 1159}), 5);
  const auto least = PlanKvBlocks(kNeeds, {.budget = 1119});
  ASSERT_FALSE(least);
  EXPECT_EQ(least.error().code, Code::kResourceExhausted);
  EXPECT_EQ(least.error().message,
            "the memory budget of 1119 bytes is too small: weights take 1000, activations 100, and "
            "64 positions of keys and values 20");
  EXPECT_FALSE(PlanKvBlocks(kNeeds, {.budget = 5}));
}

TEST(PlanKvBlocks, PositionsThatWereAskedForAreAllOrNothing) {
  EXPECT_EQ(PlanKvBlocks(kNeeds, {.kv_positions = 100}), 4);
  EXPECT_EQ(PlanKvBlocks(kNeeds, {.budget = 1140, .kv_positions = 100}), 4);
  EXPECT_FALSE(PlanKvBlocks(kNeeds, {.budget = 1139, .kv_positions = 100}));
}

TEST(PlanKvBlocks, HalfOfTheFreeMemoryButAlwaysOneContext) {
  EXPECT_EQ(PlanKvBlocks(kNeeds, {.free_memory = 140}), 7);
  EXPECT_EQ(PlanKvBlocks(kNeeds, {.free_memory = 10}), 2);
  MemoryNeeds one = kNeeds;
  one.sequences = 1;
  EXPECT_EQ(PlanKvBlocks(one, {.free_memory = 10}), 2);
}

}  // namespace
}  // namespace tern
