// From canonical ternary matrices to the layout of the kernels.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "backend/cpu/kernel_contract.h"
#include "platform/thread_pool.h"
#include "tensor/ternary_matrix.h"

namespace tern::cpu {

/// Name and version of the layout: files of packed weights carry it. Every change of what
/// PackN16k4 writes needs a new one.
inline constexpr std::string_view kPackedLayout = "n16k4.1";

/// A matrix in layout n16k4 (kernel_contract.h). Outputs are padded to 16 and inputs to 64 with
/// zero weights. Codes, then scales, are one block of bytes that all copies share.
struct PackedMatrix {
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t group = 0;                // inputs that share a scale; cols unless the scales are grouped
  int64_t steps = 0;                // of a tile
  int64_t groups = 0;               // cols / group
  std::span<const uint8_t> codes;   // (tiles, steps, 64)
  std::span<const float> scales;    // (tiles, groups, 16)
  std::span<const std::byte> blob;  // both
  std::shared_ptr<const void> owner;

  int64_t tiles() const { return (rows + kTileRows - 1) / kTileRows; }
};

/// Errors: kUnsupported for a group that is not a multiple of 64, kResourceExhausted. With a pool,
/// each thread packs the tiles that a loop over tiles gives it, so that they lie near it.
Result<PackedMatrix> PackN16k4(const TernaryMatrix& matrix, ThreadPool* pool = nullptr);

/// The matrix whose blob these bytes are, without copying. Errors: kCorrupt for sizes that don't
/// agree or bytes that are not aligned to 64.
Result<PackedMatrix> FromBlob(int64_t rows, int64_t cols, int64_t group,
                              std::span<const std::byte> blob, std::shared_ptr<const void> owner);

/// The same matrix in memory of its own: each thread copies the tiles that it will read.
Result<PackedMatrix> Copy(const PackedMatrix& matrix, ThreadPool& pool);

/// One row back as -1, 0, +1 (cols). For tests and the float path.
void UnpackRow(const PackedMatrix& matrix, int64_t row, int8_t* out);

}  // namespace tern::cpu
