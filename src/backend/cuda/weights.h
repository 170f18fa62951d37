// Packed weights on a GPU.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "backend/cuda/device_context.h"
#include "backend/cuda/kernels/head.h"
#include "backend/cuda/kernels/tiles.h"

namespace tern::cuda {

/// Ternary tiles (kernels/tiles.h) and a scale for each row and group.
class CudaTernary final : public PackedTernary {
 public:
  static Result<std::unique_ptr<CudaTernary>> Create(DeviceContext& context,
                                                     const TernaryMatrix& matrix);
  int64_t rows() const override { return matrix_.rows; }
  int64_t cols() const override { return matrix_.cols; }
  int64_t group() const override { return group_; }
  size_t bytes() const override { return tiles_.bytes() + scales_.bytes(); }

  const TiledMatrix& matrix() const { return matrix_; }
  const float* scales() const { return scales_.as<float>(); }

 private:
  TiledMatrix matrix_;
  int64_t group_ = 0;
  Buffer tiles_;
  Buffer scales_;  // (rows, cols / group)
};

/// In halves or bfloat16 when these hold every value, in floats otherwise; or in int8.
class CudaTable final : public TokenTable {
 public:
  static Result<std::unique_ptr<CudaTable>> Create(DeviceContext& context,
                                                   const TableSource& source, TableForm form);
  int64_t rows() const override { return rows_; }
  int64_t cols() const override { return cols_; }
  size_t bytes() const override { return values_.bytes() + steps_.bytes(); }

  const DeviceTable& table() const { return table_; }

 private:
  int64_t rows_ = 0, cols_ = 0;
  DeviceTable table_;
  Buffer values_;
  Buffer steps_;
};

}  // namespace tern::cuda
