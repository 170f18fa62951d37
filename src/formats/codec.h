// The tensor types that tern reads and writes: one row per byte layout. A new type is a file in
// codecs/, a row in codec.cc, a golden vector and a fuzz seed; nothing else changes. Layouts in
// words: docs/formats.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "tensor/dense_matrix.h"
#include "tensor/ternary_matrix.h"

namespace tern {

/// What an encoder had to change.
struct EncodeReport {
  /// Largest |stored - given| / |given| over the scales: 0 when every scale was kept exactly.
  /// Formats with binary16 scales round a float32 scale by up to 2^-11 (more below 2^-14); tell the
  /// user.
  double max_scale_error = 0;
};

/// One byte layout of a matrix (rows, cols), row-major, cols = inputs. The function pointers are
/// null where the operation does not exist. Messages name positions only; the caller adds file and
/// tensor. Thread rule: constant data and pure functions.
struct Codec {
  std::string_view name;       // as users write it, unique: "i2_s", "i2_s_arm", "q2_0_g128"
  std::string_view type_name;  // as files and listings show it: "I2_S"
  uint32_t type_id;            // in GGUF; three rows share 36 and two share 42 (docs/formats.md)
  std::optional<DType> dense;  // set for the dense types, empty for the ternary ones
  int64_t block_elems;         // cols is a multiple of this (I2_S: rows * cols is)

  /// Size of the whole matrix. kInvalidArgument when the shape does not suit the type, or
  /// overflows.
  Result<uint64_t> (*byte_span)(int64_t rows, int64_t cols);

  /// Any type -> float32, as the type's own project decodes it (code 3 of TQ2_0, Q2_0, IQ2_BN is
  /// +2d; I2_S has no meaning for it: kCorrupt). bytes.size() == byte_span; out.size() == rows *
  /// cols.
  Status (*decode)(int64_t rows, int64_t cols, std::span<const std::byte> bytes,
                   std::span<float> out);

  /// Ternary types only. kCorrupt for a code of 3 (the message names row and column) and for scales
  /// that are not finite. Scales are shared as the type shares them: one (I2_S), per row (IQ*_BN),
  /// per group (the others); SimplifyScales of tensor/scales.h finds those that are equal.
  Result<TernaryMatrix> (*decode_ternary)(int64_t rows, int64_t cols,
                                          std::span<const std::byte> bytes);

  /// The types that tern writes: i2_s, tq1_0, tq2_0, q2_0. out.size() == byte_span. kUnsupported
  /// when the scales of the matrix change inside what shares one scale in this type, or do not fit
  /// a binary16.
  Result<EncodeReport> (*encode)(const TernaryMatrix& matrix, std::span<std::byte> out);
};

/// Every row, in the order in which help texts should list them.
std::span<const Codec* const> AllCodecs();
/// The row with this user name, case-insensitive; nullptr when there is none.
const Codec* FindCodec(std::string_view name);
/// The row of a dense type (its bytes are made by EncodeRow of tensor/dense_matrix.h).
const Codec& DenseCodec(DType type);

}  // namespace tern
