// The token table: rows for the embedding, dot products for the head, and the best tokens of a row.
#pragma once

#include <cstdint>

#include "backend/cuda/kernels/launch.h"
#include "backend/cuda/kernels/tiles.h"

namespace tern::cuda {

/// A table in tiles (kF16, kBf16, kInt8 with a step a row), or in floats row by row, when tiles'
/// types can't hold its values exactly.
struct DeviceTable {
  TiledMatrix matrix;             // tiles == nullptr: in floats
  const float* steps = nullptr;   // kInt8: (rows)
  const float* floats = nullptr;  // (rows, cols)
};

/// Fills tiles from row-major elements of the same type on the device (kF16, kBf16, kInt8; ternary
/// codes as tensor/ternary_matrix.h stores them, rows of (cols + 3) / 4 bytes). `rows` rows from
/// row first_row, a multiple of 16, so that a matrix can come in pieces; tiles were zeroed.
void PackTiles(const void* row_major, int first_row, int rows, const TiledMatrix& to,
               const Launch& launch);

/// x[r] = table[ids[r]], in floats. ids on the device.
void Embed(const int32_t* ids, int rows, const DeviceTable& table, float* x, int64_t x_stride,
           const Launch& launch);

struct HeadArgs {
  const float* x = nullptr;  // (m, x_stride)
  int64_t x_stride = 0;
  int m = 0;
  DeviceTable table;
  float* logits = nullptr;  // (m, logits_stride)
  int64_t logits_stride = 0;
  void* scratch = nullptr;  // HeadScratchBytes
};
size_t HeadScratchBytes(int m, int cols);

/// logits = x table^T. kF16, kBf16: x is split into two numbers of the table's type (their sum has
/// 22 or 16 bits), products are summed in float by mma in increasing column; kInt8: x is quantised
/// a row at a time as backend.h says (TableForm::kInt8), sums are exact. A row's bits don't depend
/// on m.
void Logits(const HeadArgs& args, const Launch& launch);

inline constexpr int kMaxTop = 64;
/// The k <= kMaxTop largest of the first `vocab` logits of each row, in falling order, equal ones
/// by id, NaN never: values and ids (m, k). scratch: TopScratchBytes.
void TopLogits(const float* logits, int64_t stride, int m, int vocab, int k, float* values,
               int32_t* ids, void* scratch, const Launch& launch);
size_t TopScratchBytes(int m, int vocab, int k);

}  // namespace tern::cuda
