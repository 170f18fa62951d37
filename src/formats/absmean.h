// Float weights to ternary ones: the quantisation rule of BitNet b1.58 for master weights (Ma et
// al., 2024, equations 1 to 3), and the recognition of weights that are ternary already.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/result.h"
#include "tensor/ternary_matrix.h"

namespace tern {

/// Fills a row with its float weights.
using RowReader = std::function<void(int64_t row, std::span<float> out)>;

/// Reads every row once and codes w * factor: +1 above the threshold, -1 below its negative, else
/// 0.
Result<TernaryMatrix> CodeBySign(int64_t rows, int64_t cols, const RowReader& read, float factor,
                                 float threshold, ScaleSpec scale);

/// Per-tensor absmean, in the arithmetic of transformers' WeightQuant, float32:
///   m = max(mean |W|, 1e-5), s = 1 / m, q = clamp(round_half_even(W * s), -1, 1), W' = q / s.
/// The scale of the result is therefore 1 / (1 / m), not m: they differ in the last bit. The mean
/// is summed in float64 (the reference's float32 order depends on its vector width), so it is the
/// nearest float32 to the true mean. Reads every row twice. kCorrupt for a weight that is not
/// finite; the message names row and column.
Result<TernaryMatrix> QuantizeAbsmean(int64_t rows, int64_t cols, const RowReader& read);

/// Rows whose values are already -d, 0 or +d in every group of `group` columns (a divisor of cols),
/// with any d > 0 per group: exact, one scale per group (0 where all values are). kUnsupported,
/// naming the first group that holds something else; kCorrupt for a value that is not finite.
Result<TernaryMatrix> RecognizeTernary(int64_t rows, int64_t cols, int64_t group,
                                       const RowReader& read);

}  // namespace tern
