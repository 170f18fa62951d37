// A random matrix product for one kernel alone: to check it and to time it.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/cpu/kernel_list.h"
#include "backend/cpu/pack.h"
#include "base/result.h"

namespace tern::cpu {

/// y (m, n) = x (m, k) w^T with random ternary w of one scale and random int8 x. Thread rule:
/// immutable; Run may be called for different tiles at once.
class KernelProblem {
 public:
  /// copies: of the packed weights, so that running them in turn finds none in a cache. Errors:
  /// kInvalidArgument for sizes below 1.
  static Result<KernelProblem> Create(int64_t m, int64_t n, int64_t k, int64_t copies);

  int64_t m() const { return m_; }
  int64_t n() const { return packed_.rows; }
  int64_t k() const { return packed_.cols; }
  int64_t copies() const { return copies_; }
  int64_t tiles() const { return packed_.tiles(); }
  /// Bytes of one copy of the weights.
  size_t weight_bytes() const { return packed_.codes.size(); }
  /// Multiplications and additions.
  double ops() const {
    return 2 * static_cast<double>(m_) * static_cast<double>(n()) * static_cast<double>(k());
  }

  /// Tiles [tile_begin, tile_end) with the given copy of the weights; y is (m, n).
  void Run(const TernaryKernel& kernel, int64_t copy, int64_t tile_begin, int64_t tile_end,
           float* y) const;
  /// All of y.
  std::vector<float> Output(const TernaryKernel& kernel) const;

 private:
  int64_t m_ = 0, copies_ = 0, stride_ = 0;
  PackedMatrix packed_;
  std::vector<uint8_t> codes_;  // (copies, weight_bytes)
  std::vector<int8_t> x_;       // (m, stride)
  std::vector<float> step_;
  std::vector<int32_t> sums_;
};

}  // namespace tern::cpu
