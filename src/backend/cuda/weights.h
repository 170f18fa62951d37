// Packed weights on a GPU.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "backend/cuda/device_context.h"
#include "backend/cuda/kernels/head.h"
#include "backend/cuda/kernels/tiles.h"
#include "backend/cuda/layer_stream.h"

namespace tern::cuda {

/// Ternary tiles (kernels/tiles.h), then a scale for each row and group, (rows, cols / group).
class CudaTernary final : public PackedTernary {
 public:
  static Result<std::unique_ptr<CudaTernary>> Create(DeviceContext& context,
                                                     const TernaryMatrix& matrix);
  int64_t rows() const override { return shape_.rows; }
  int64_t cols() const override { return shape_.cols; }
  int64_t group() const override { return group_; }
  size_t bytes() const override { return bytes_; }

  /// Leaves the device for the host memory of a layer that `stream` has.
  Status MoveTo(std::shared_ptr<LayerStream> stream, int64_t layer);
  /// Where it is now; of a streamed matrix, in the layer that was entered last.
  TiledMatrix matrix() const {
    TiledMatrix matrix = shape_;
    matrix.tiles = data();
    return matrix;
  }
  const float* scales() const { return reinterpret_cast<const float*>(data() + shape_.bytes()); }

 private:
  const std::byte* data() const { return stream_ ? stream_->At(offset_) : memory_.as<std::byte>(); }

  TiledMatrix shape_;
  int64_t group_ = 0;
  size_t bytes_ = 0;
  Buffer memory_;  // unless it is streamed
  std::shared_ptr<const LayerStream> stream_;
  size_t offset_ = 0;
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
