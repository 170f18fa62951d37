#include "backend/trace/op_cost.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

class Matrix final : public PackedTernary {
 public:
  Matrix(int64_t rows, int64_t cols, size_t bytes) : rows_(rows), cols_(cols), bytes_(bytes) {}
  int64_t rows() const override { return rows_; }
  int64_t cols() const override { return cols_; }
  int64_t group() const override { return cols_; }
  size_t bytes() const override { return bytes_; }

 private:
  int64_t rows_, cols_;
  size_t bytes_;
};

class Table final : public TokenTable {
 public:
  int64_t rows() const override { return 100; }
  int64_t cols() const override { return 8; }
  size_t bytes() const override { return 1600; }
};

LinearInput Input(ActivationType type, int64_t rows, int64_t cols, int64_t group) {
  return {.type = type, .rows = rows, .cols = cols, .group = group};
}

// Every expectation is counted by hand from the shapes.
TEST(OpCost, ALinearLayerReadsItsWeightsOnceAndMultipliesEveryRow) {
  const Matrix w(30, 20, 1000);
  const LinearInput x = Input(ActivationType::kInt8, 3, 20, 20);
  const OpCost store = CostOfLinear(x, w, Epilogue::kStore);
  EXPECT_EQ(store.bytes, 1000u + 3 * (20 + 4 + 4) + 3 * 30 * 4);
  EXPECT_EQ(store.operations, 2u * 3 * 20 * 30);
  EXPECT_EQ(store.numbers, OpNumbers::kInt8);
  EXPECT_EQ(CostOfLinear(x, w, Epilogue::kAdd).bytes, store.bytes + 3 * 30 * 4);
  const OpCost groups = CostOfLinear(Input(ActivationType::kInt8, 3, 20, 5), w, Epilogue::kStore);
  EXPECT_EQ(groups.bytes, store.bytes + 3u * 3 * 8);
  const OpCost floats = CostOfLinear(Input(ActivationType::kFloat, 3, 20, 0), w, Epilogue::kStore);
  EXPECT_EQ(floats.bytes, 1000u + 3 * 20 * 4 + 3 * 30 * 4);
  EXPECT_EQ(floats.numbers, OpNumbers::kFloat);
  const OpCost gated = CostOfLinearGated(x, w);
  EXPECT_EQ(gated.bytes, 1000u + 3 * 28 + 3 * 15 * 4);
  EXPECT_EQ(gated.operations, 2u * 3 * 20 * 30 + 3u * 3 * 15);
}

TEST(OpCost, AttentionReadsEachSequencesCacheOnceAndMultipliesForEveryRow) {
  const HeadShape shape{.heads = 4, .kv_heads = 2, .head_dim = 8};
  // Sequence 0 has rows at positions 4 and 5, sequence 1 one at 9.
  const std::vector<int32_t> positions = {4, 5, 9}, sequences = {0, 0, 1};
  const std::vector<std::span<const BlockId>> tables(2);
  const StepInfo step{positions, sequences, tables};
  const OpCost halves = CostOfAttention(shape, step, KvType::kF16);
  EXPECT_EQ(halves.bytes, (6u + 10u) * 2 * 2 * 8 * 2 + 2 * 3 * 32 * 4);
  EXPECT_EQ(halves.operations, (5u + 6u + 10u) * 4 * 4 * 8);
  EXPECT_EQ(halves.numbers, OpNumbers::kFloat);
  EXPECT_EQ(CostOfAttention(shape, step, KvType::kBf16).numbers, OpNumbers::kBfloat16);
  // int8: a step of four bytes for each position and kv head.
  EXPECT_EQ(CostOfAttention(shape, step, KvType::kInt8).bytes,
            (6u + 10u) * 2 * 2 * (8 + 4) + 2 * 3 * 32 * 4);
}

TEST(OpCost, NormsRopeGateAndTables) {
  const LinearInput out = Input(ActivationType::kInt8, 2, 16, 16);
  EXPECT_EQ(CostOfNormQuantize(2, true, out).operations, 2u * 16 * 6);
  EXPECT_EQ(CostOfNormQuantize(2, false, out).operations, 2u * 16 * 2);
  EXPECT_EQ(CostOfNormQuantize(2, true, out).bytes, 2u * 16 * 4 + 16 * 4 + 2 * (16 + 8));
  EXPECT_EQ(CostOfNormQuantize(2, false, Input(ActivationType::kFloat, 2, 16, 0)).operations, 0u);
  const HeadShape shape{.heads = 4, .kv_heads = 2, .head_dim = 8};
  RopeOptions rope{.dims = 8};
  EXPECT_EQ(CostOfRopeStoreKv(3, shape, rope, KvType::kF16).operations, 3u * 6 * 8 * 3);
  EXPECT_EQ(CostOfRopeStoreKv(3, shape, rope, KvType::kF16).bytes,
            3u * (4 * (2 * (32 + 16) + 16 + 8) + 2 * 2 * 8 * 2));
  const float gain = 1;
  rope.q_norm = &gain;
  EXPECT_EQ(CostOfRopeStoreKv(3, shape, rope, KvType::kF16).operations,
            3u * (6 * 8 * 3 + 4 * 8 * 4));
  EXPECT_EQ(CostOfGatedActivation(2, 10).bytes, 3u * 2 * 10 * 4);
  EXPECT_EQ(CostOfNormRows(2, 10).bytes, (2u * 2 + 1) * 10 * 4);
  const Table table;
  EXPECT_EQ(CostOfEmbed(3, table).bytes, 3u * (16 + 8 * 4));
  EXPECT_EQ(CostOfLogits(2, table, false).bytes, 1600u + 2 * (8 + 100) * 4);
  EXPECT_EQ(CostOfLogits(2, table, false).operations, 2u * 2 * 100 * 8);
  EXPECT_EQ(CostOfLogits(2, table, false).numbers, OpNumbers::kFloat);
  EXPECT_EQ(CostOfLogits(2, table, true).numbers, OpNumbers::kInt8);
}

}  // namespace
}  // namespace tern
