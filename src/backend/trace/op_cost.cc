#include "backend/trace/op_cost.h"

#include <algorithm>
#include <vector>

namespace tern {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);
constexpr int64_t kNormOps = 4;      // per element
constexpr int64_t kQuantizeOps = 2;  // per element
constexpr int64_t kGateOps = 3;      // per element; SiLU has an exponential instead of a square

OpCost Cost(int64_t bytes, int64_t operations, OpNumbers numbers = OpNumbers::kFloat) {
  return {static_cast<uint64_t>(bytes), static_cast<uint64_t>(operations), numbers};
}

int64_t InputBytes(const LinearInput& in) {
  if (in.type == ActivationType::kFloat) return in.rows * in.cols * kFloatBytes;
  const int64_t groups = in.cols / std::max<int64_t>(in.group, 1);
  return in.rows * (in.cols + groups * (kFloatBytes + static_cast<int64_t>(sizeof(int32_t))));
}

// Keys and values of one position in one layer.
int64_t KvBytes(const HeadShape& shape, KvType type) {
  return 2 * shape.kv_heads * static_cast<int64_t>(PieceBytes(type, shape.head_dim)) /
         kBlockPositions;
}

OpCost Product(const LinearInput& x, const PackedTernary& w, int64_t out_cols, int64_t passes) {
  return Cost(
      static_cast<int64_t>(w.bytes()) + InputBytes(x) + passes * x.rows * out_cols * kFloatBytes,
      2 * x.rows * w.rows() * w.cols(),
      x.type == ActivationType::kInt8 ? OpNumbers::kInt8 : OpNumbers::kFloat);
}

}  // namespace

OpCost CostOfEmbed(int64_t ids, const TokenTable& table) {
  const auto row = static_cast<int64_t>(table.bytes()) / std::max<int64_t>(table.rows(), 1);
  return Cost(ids * (row + table.cols() * kFloatBytes), 0);
}

OpCost CostOfNormQuantize(int64_t rows, bool gain, const LinearInput& out) {
  const int64_t elements = rows * out.cols;
  const int64_t quantize = out.type == ActivationType::kInt8 ? kQuantizeOps : 0;
  return Cost(elements * kFloatBytes + (gain ? out.cols * kFloatBytes : 0) + InputBytes(out),
              elements * ((gain ? kNormOps : 0) + quantize));
}

OpCost CostOfLinear(const LinearInput& x, const PackedTernary& w, Epilogue epilogue) {
  return Product(x, w, w.rows(), epilogue == Epilogue::kAdd ? 2 : 1);
}

OpCost CostOfRopeStoreKv(int64_t rows, const HeadShape& shape, const RopeOptions& rope,
                         KvType type) {
  const int64_t turned = (shape.heads + shape.kv_heads) * rope.dims;
  const int64_t normed =
      ((rope.q_norm ? shape.heads : 0) + (rope.k_norm ? shape.kv_heads : 0)) * shape.head_dim;
  const int64_t bytes =
      kFloatBytes * (2 * (shape.q_cols() + shape.kv_cols()) + shape.kv_cols() + rope.dims) +
      KvBytes(shape, type);
  return Cost(rows * bytes, rows * (3 * turned + kNormOps * normed));
}

OpCost CostOfAttention(const HeadShape& shape, const StepInfo& step, KvType type) {
  const auto rows = static_cast<int64_t>(step.positions.size());
  std::vector<int64_t> longest(step.tables.size());
  int64_t positions = 0;
  for (size_t r = 0; r < step.positions.size(); ++r) {
    const int64_t seen = step.positions[r] + 1;
    positions += seen;
    int64_t& most = longest[static_cast<size_t>(step.sequences[r])];
    most = std::max(most, seen);
  }
  int64_t read = 0;
  for (const int64_t seen : longest) read += seen;
  return Cost(read * KvBytes(shape, type) + 2 * rows * shape.q_cols() * kFloatBytes,
              4 * positions * shape.q_cols(),
              type == KvType::kBf16 ? OpNumbers::kBfloat16 : OpNumbers::kFloat);
}

OpCost CostOfLinearGated(const LinearInput& x, const PackedTernary& w) {
  OpCost cost = Product(x, w, w.rows() / 2, 1);
  cost.operations += static_cast<uint64_t>(kGateOps * x.rows * w.rows() / 2);
  return cost;
}

OpCost CostOfGatedActivation(int64_t rows, int64_t cols) {
  return Cost(3 * rows * cols * kFloatBytes, kGateOps * rows * cols);
}

OpCost CostOfNormRows(int64_t rows, int64_t cols) {
  return Cost((2 * rows + 1) * cols * kFloatBytes, kNormOps * rows * cols);
}

OpCost CostOfLogits(int64_t rows, const TokenTable& table, bool int8) {
  return Cost(
      static_cast<int64_t>(table.bytes()) + rows * (table.cols() + table.rows()) * kFloatBytes,
      2 * rows * table.rows() * table.cols(), int8 ? OpNumbers::kInt8 : OpNumbers::kFloat);
}

OpCost CostOfTopLogits(int64_t rows, int64_t vocab) {
  return Cost(rows * (vocab + 2 * kTopLogits) * kFloatBytes, rows * vocab, OpNumbers::kFloat);
}

}  // namespace tern
