// Ternary types made of equal blocks inside a row: codes and one binary16 scale each.
//
// A block format F is a struct of constants and static functions:
//   kElems, kBytes, kScaleAt   values and bytes of a block, byte offset of its scale
//   Unpack(const std::byte* block, uint8_t* codes)   kElems codes 0..3, value = scale * (code - 1)
//   Pack(const uint8_t* codes, std::byte* block)     only in formats that tern writes
#pragma once

#include <array>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/float16.h"
#include "base/math.h"
#include "formats/codec.h"

namespace tern::codecs {

/// rows * (cols / elems) * bytes, checked.
Result<uint64_t> BlockSpan(int64_t rows, int64_t cols, int64_t elems, int64_t bytes,
                           std::string_view type_name);

/// The scale that columns [begin, begin + count) of a row share; kUnsupported when it changes among
/// them.
Result<float> SharedScale(const TernaryMatrix& m, int64_t row, int64_t begin, int64_t count);

/// Rounds a scale to binary16 and notes the error; kUnsupported when it overflows, or vanishes
/// though it is not zero.
Result<uint16_t> RoundScale(float scale, EncodeReport& report);

template <class F>
Result<uint64_t> BlockByteSpan(int64_t rows, int64_t cols) {
  return BlockSpan(rows, cols, F::kElems, F::kBytes, F::kTypeName);
}

template <class F>
float BlockScale(const std::byte* block) {
  return HalfToFloat(LoadLe<uint16_t>(block + F::kScaleAt));
}

template <class F>
Status BlockDecode(int64_t /*rows*/, int64_t /*cols*/, std::span<const std::byte> bytes,
                   std::span<float> out) {
  std::array<uint8_t, F::kElems> codes;
  float* x = out.data();
  for (const std::byte* block = bytes.data(); block != bytes.data() + bytes.size();
       block += F::kBytes) {
    F::Unpack(block, codes.data());
    const float d = BlockScale<F>(block);
    for (const uint8_t code : codes) *x++ = d * static_cast<float>(code - 1);
  }
  return {};
}

template <class F>
Result<TernaryMatrix> BlockDecodeTernary(int64_t rows, int64_t cols,
                                         std::span<const std::byte> bytes) {
  static_assert(F::kElems % 4 == 0, "blocks start at byte borders of the canonical storage");
  const size_t blocks = bytes.size() / F::kBytes;
  std::vector<uint8_t> packed(blocks * F::kElems / 4);
  ScaleSpec scale{ScaleKind::kGroup, F::kElems, std::vector<float>(blocks)};
  std::array<uint8_t, F::kElems> codes;
  for (size_t b = 0; b < blocks; ++b) {
    const std::byte* block = bytes.data() + b * F::kBytes;
    F::Unpack(block, codes.data());
    PackCodes(codes, packed.data() + b * F::kElems / 4);
    scale.values[b] = BlockScale<F>(block);
  }
  return TernaryMatrix::FromCodes(rows, cols, std::move(packed), std::move(scale));
}

template <class F>
Result<EncodeReport> BlockEncode(const TernaryMatrix& m, std::span<std::byte> out) {
  TERN_ASSIGN_OR_RETURN(const uint64_t bytes, BlockByteSpan<F>(m.rows(), m.cols()));
  if (out.size() != bytes)
    return Fail(Code::kInvalidArgument, "{} needs {} bytes, the buffer has {}", F::kTypeName, bytes,
                out.size());
  EncodeReport report;
  std::vector<int8_t> row(static_cast<size_t>(m.cols()));
  std::array<uint8_t, F::kElems> codes;
  std::byte* block = out.data();
  for (int64_t r = 0; r < m.rows(); ++r) {
    m.UnpackRow(r, row);
    for (int64_t c = 0; c < m.cols(); c += F::kElems, block += F::kBytes) {
      for (size_t i = 0; i < F::kElems; ++i)
        codes[i] = static_cast<uint8_t>(row[static_cast<size_t>(c) + i] + 1);
      TERN_ASSIGN_OR_RETURN(const float d, SharedScale(m, r, c, F::kElems));
      TERN_ASSIGN_OR_RETURN(const uint16_t half, RoundScale(d, report));
      F::Pack(codes.data(), block);
      StoreLe(block + F::kScaleAt, half);
    }
  }
  return report;
}

/// The row of the codec table for a format, with an encoder where the format is written.
template <class F, bool kWritten>
constexpr Codec BlockCodec(std::string_view name, uint32_t type_id) {
  Codec codec{name,      F::kTypeName,     type_id,        std::nullopt,
              F::kElems, BlockByteSpan<F>, BlockDecode<F>, BlockDecodeTernary<F>,
              nullptr};
  if constexpr (kWritten) codec.encode = BlockEncode<F>;
  return codec;
}

}  // namespace tern::codecs
