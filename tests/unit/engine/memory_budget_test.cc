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

TEST(PlanLayers, AsManyAsLeaveRoomForTwoOfTheOthers) {
  constexpr DeviceNeeds kModel = {.layers = 10, .layer = 100, .rest = 50};
  EXPECT_EQ(PlanLayers(kModel, 1050, {}), 10);
  EXPECT_EQ(PlanLayers(kModel, 1049, {}), 7);
  EXPECT_EQ(PlanLayers(kModel, 350, {}), 1);
  EXPECT_EQ(PlanLayers(kModel, 250, {}), 0);
  const auto least = PlanLayers(kModel, 249, {});
  ASSERT_FALSE(least);
  EXPECT_EQ(least.error().code, Code::kResourceExhausted);
  EXPECT_EQ(least.error().message,
            "the device has 249 bytes for this model: tables, activations and the cache of one "
            "context take 50, a layer takes 100, and 0 of 10 layers are to stay there: not even "
            "two layers at a time fit");
  EXPECT_FALSE(PlanLayers(kModel, 49, {}));
}

TEST(PlanLayers, SoManyAsAreAskedForOrNone) {
  constexpr DeviceNeeds kModel = {.layers = 10, .layer = 100, .rest = 50};
  EXPECT_EQ(PlanLayers(kModel, 1050, 3), 3);
  EXPECT_EQ(PlanLayers(kModel, 550, 3), 3);
  const auto more = PlanLayers(kModel, 549, 3);
  ASSERT_FALSE(more);
  EXPECT_NE(more.error().message.find("2 layers can, the others would be streamed"),
            std::string::npos)
      << more.error().message;
  EXPECT_EQ(PlanLayers(kModel, 1050, 99), 10);
  EXPECT_FALSE(PlanLayers(kModel, 1049, 99));
  // The last two have their buffers to themselves.
  EXPECT_EQ(PlanLayers(kModel, 1050, 9), 9);
  EXPECT_FALSE(PlanLayers(kModel, 1049, 9));
  EXPECT_EQ(PlanLayers({.layers = 1, .layer = 100, .rest = 0}, 100, 0), 0);
}

}  // namespace
}  // namespace tern
