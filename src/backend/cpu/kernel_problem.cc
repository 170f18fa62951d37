#include "backend/cpu/kernel_problem.h"

#include <numeric>

#include "backend/backend.h"
#include "base/math.h"
#include "base/rng.h"

namespace tern::cpu {

Result<KernelProblem> KernelProblem::Create(int64_t m, int64_t n, int64_t k, int64_t copies) {
  if (m < 1 || n < 1 || k < 1 || copies < 1)
    return Fail(Code::kInvalidArgument, "a product of {} x {} x {}: expected sizes of 1 and more",
                m, n, k);
  Rng rng(1);
  std::vector<int8_t> weights(static_cast<size_t>(n * k));
  for (int8_t& w : weights) w = static_cast<int8_t>(static_cast<int>(rng.Next() % 3) - 1);
  TERN_ASSIGN_OR_RETURN(const TernaryMatrix matrix,
                        TernaryMatrix::FromValues(n, k, weights, ScaleSpec::Tensor(1)));
  KernelProblem problem;
  TERN_ASSIGN_OR_RETURN(problem.packed_, PackN16k4(matrix));
  problem.m_ = m;
  problem.copies_ = copies;
  for (int64_t copy = 0; copy < copies; ++copy)
    problem.codes_.insert(problem.codes_.end(), problem.packed_.codes.begin(),
                          problem.packed_.codes.end());
  problem.stride_ = static_cast<int64_t>(AlignUp(static_cast<uint64_t>(k), kInputPadding));
  problem.x_.resize(static_cast<size_t>(m * problem.stride_));
  problem.step_.assign(static_cast<size_t>(m), 0.01f);
  for (auto row = problem.x_.begin(); row != problem.x_.end(); row += problem.stride_) {
    for (auto x = row; x != row + k; ++x) *x = static_cast<int8_t>(rng.Next());
    problem.sums_.push_back(std::accumulate(row, row + k, int32_t{0}));
  }
  return problem;
}

void KernelProblem::Run(const TernaryKernel& kernel, int64_t copy, int64_t tile_begin,
                        int64_t tile_end, float* y) const {
  kernel.run({.codes = codes_.data() + static_cast<size_t>(copy) * weight_bytes(),
              .scales = packed_.scales.data(),
              .x = x_.data(),
              .step = step_.data(),
              .sums = sums_.data(),
              .y = y,
              .x_stride = stride_,
              .y_stride = n(),
              .m = m_,
              .n = n(),
              .steps = packed_.steps,
              .groups = 1,
              .tile_begin = tile_begin,
              .tile_end = tile_end,
              .add = false});
}

std::vector<float> KernelProblem::Output(const TernaryKernel& kernel) const {
  std::vector<float> y(static_cast<size_t>(m_ * n()));
  Run(kernel, 0, 0, tiles(), y.data());
  return y;
}

}  // namespace tern::cpu
