// What an operation has to move and to compute, counted from its shapes.
#pragma once

#include <cstdint>

#include "backend/backend.h"

namespace tern {

/// Which of a machine's arithmetic peaks an operation is held to.
enum class OpNumbers : uint8_t { kInt8, kFloat, kBfloat16 };

/// The least that any implementation does. `bytes`: every operand read and every result written
/// once, however small a cache is; a step's keys and values once per sequence. `operations`:
/// multiplications and additions; not counted are maxima, roundings, square roots, divisions and
/// exponentials, of which there is at most one for several of the others.
struct OpCost {
  uint64_t bytes = 0;
  uint64_t operations = 0;
  OpNumbers numbers = OpNumbers::kFloat;
};

OpCost CostOfEmbed(int64_t ids, const TokenTable& table);
/// Per element: square and add for the mean, times the root and times the gain; then times the step
/// and add to the sum for kInt8. Without a gain there is no norm.
OpCost CostOfNormQuantize(int64_t rows, bool gain, const LinearInput& out);
OpCost CostOfLinear(const LinearInput& x, const PackedTernary& w, Epilogue epilogue);
/// Per pair that is turned: four multiplications and two additions; per normed head as
/// NormQuantize.
OpCost CostOfRopeStoreKv(int64_t rows, const HeadShape& shape, const RopeOptions& rope,
                         KvType type);
/// A row at position p: 2 (p + 1) head_dim a head for the weights, as many for the values.
OpCost CostOfAttention(const HeadShape& shape, const StepInfo& step, KvType type);
OpCost CostOfLinearGated(const LinearInput& x, const PackedTernary& w);
OpCost CostOfGatedActivation(int64_t rows, int64_t cols);
OpCost CostOfNormRows(int64_t rows, int64_t cols);
/// int8: the table is kept as TableForm::kInt8.
OpCost CostOfLogits(int64_t rows, const TokenTable& table, bool int8);
OpCost CostOfTopLogits(int64_t rows, int64_t vocab);

}  // namespace tern
