// A ternary matrix in the memory of the CPU backend.
#pragma once

#include "backend/backend.h"
#include "backend/cpu/pack.h"

namespace tern::cpu {

class CpuTernary final : public PackedTernary {
 public:
  explicit CpuTernary(PackedMatrix m) : matrix(std::move(m)) {}
  int64_t rows() const override { return matrix.rows; }
  int64_t cols() const override { return matrix.cols; }
  int64_t group() const override { return matrix.group; }
  size_t bytes() const override { return matrix.blob.size(); }
  std::span<const std::byte> blob() const override { return matrix.blob; }

  const PackedMatrix matrix;
};

}  // namespace tern::cpu
