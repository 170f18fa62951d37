// From canonical ternary matrices to the layout of the kernels.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/cpu/kernel_contract.h"
#include "tensor/ternary_matrix.h"

namespace tern::cpu {

/// A matrix in layout n16k4 (kernel_contract.h). Outputs are padded to 16 and inputs to 64 with
/// zero weights.
struct PackedMatrix {
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t group = 0;           // inputs that share a scale; cols unless the scales are grouped
  int64_t steps = 0;           // of a tile
  int64_t groups = 0;          // cols / group
  std::vector<uint8_t> codes;  // (tiles, steps, 64)
  std::vector<float> scales;   // (tiles, groups, 16)

  int64_t tiles() const { return (rows + kTileRows - 1) / kTileRows; }
};

/// Errors: kUnsupported for a group that is not a multiple of 16.
Result<PackedMatrix> PackN16k4(const TernaryMatrix& matrix);

/// One row back as -1, 0, +1 (cols). For tests and the float path.
void UnpackRow(const PackedMatrix& matrix, int64_t row, int8_t* out);

}  // namespace tern::cpu
