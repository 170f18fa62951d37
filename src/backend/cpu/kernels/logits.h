// The body of the output head's float kernels, written once over the lanes of isa/*_lanes.h and the
// formats of row_formats.h. Include it only from targets/*.cc (see ternary_gemm.h).
#pragma once

#include "backend/cpu/kernels/row_formats.h"

namespace tern::cpu {
namespace {

// kR rows of the table, from `row` on, times kM rows of x, from m0 on. kAhead: the rows after them
// are asked for, because one row is too short a stream for a CPU's own prefetching.
template <class L, class Format, int kR, int kM, bool kAhead>
inline void Product(const LogitsArgs& a, int64_t row, int64_t m0) {
  using Lanes = typename L::Lanes;
  const int64_t elems = Format::Elems(a), bytes = Format::Bytes(elems), blocks = a.k / elems;
  const uint8_t* table = a.table + row * a.row_bytes;
  const float* x = a.x + m0 * a.x_stride;
  Lanes sums[kR][kM];
#pragma GCC unroll 16
  for (int r = 0; r < kR; ++r)
#pragma GCC unroll 16
    for (int m = 0; m < kM; ++m) sums[r][m] = L::Zero();
  const auto add = [&sums](const Lanes(&w)[kR], const float* at, int64_t stride)
      __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int m = 0; m < kM; ++m) {
      const Lanes v = L::Load(at + m * stride);
#pragma GCC unroll 16
      for (int r = 0; r < kR; ++r) sums[r][m] = L::AddProduct(sums[r][m], v, w[r]);
    }
  };

  typename Format::Block block[kR];
  for (int64_t b = 0; b < blocks; ++b) {
#pragma GCC unroll 16
    for (int r = 0; r < kR; ++r) {
      const uint8_t* p = table + r * a.row_bytes + b * bytes;
      if constexpr (kAhead) Prefetch(p + kR * a.row_bytes, bytes);
      Format::Open(a, row + r, b, p, block[r]);
    }
    for (int64_t c = 0; c < elems / kLanes; ++c) {
      Lanes w[kR];
#pragma GCC unroll 16
      for (int r = 0; r < kR; ++r) w[r] = Format::Chunk(block[r], c);
      add(w, x + b * elems + c * kLanes, a.x_stride);
    }
  }
  if (const int64_t rest = a.k % kLanes; rest != 0) {
    Lanes w[kR];
    alignas(64) float tail[kM][kLanes] = {};
    for (int r = 0; r < kR; ++r) w[r] = Format::Tail(a, row + r, rest);
    for (int m = 0; m < kM; ++m)
      __builtin_memcpy(tail[m], x + m * a.x_stride + a.k - rest,
                       static_cast<size_t>(rest) * sizeof(float));
    add(w, tail[0], kLanes);
  }
#pragma GCC unroll 16
  for (int m = 0; m < kM; ++m)
#pragma GCC unroll 16
    for (int r = 0; r < kR; ++r) a.y[(m0 + m) * a.y_stride + row + r] = L::Reduce(sums[r][m]);
}

// `count` <= kM rows of x.
template <class L, class Format, int kR, int kM, bool kAhead>
inline void UpTo(const LogitsArgs& a, int64_t row, int64_t m0, int64_t count) {
  if constexpr (kM > 1) {
    if (count < kM) return UpTo<L, Format, kR, kM - 1, kAhead>(a, row, m0, count);
  }
  Product<L, Format, kR, kM, kAhead>(a, row, m0);
}

template <class L, class Format>
inline void DecodeRow(const LogitsArgs& a, int64_t row, float* out) {
  const int64_t elems = Format::Elems(a), bytes = Format::Bytes(elems), blocks = a.k / elems;
  typename Format::Block block;
  for (int64_t b = 0; b < blocks; ++b) {
    Format::Open(a, row, b, a.table + row * a.row_bytes + b * bytes, block);
    for (int64_t c = 0; c < elems / kLanes; ++c)
      L::Store(out + b * elems + c * kLanes, Format::Chunk(block, c));
  }
  if (const int64_t rest = a.k % kLanes; rest != 0)
    L::Store(out + a.k - rest, Format::Tail(a, row, rest));
}

// Decoded rows, kR of them from row 0 on, times all rows of x in blocks of nearly equal size.
template <class L, int kR>
inline void DecodedRows(const LogitsArgs& a) {
  constexpr int64_t kMost = L::kScratchCols;
  const int64_t blocks = (a.m + kMost - 1) / kMost;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t m0 = i * a.m / blocks, m1 = (i + 1) * a.m / blocks;
    UpTo<L, F32Rows<L>, kR, L::kScratchCols, false>(a, 0, m0, m1 - m0);
  }
}

// Rows of x that stay in the second-level cache while the table streams past them.
constexpr int64_t kResidentRows = 64;

template <class L, class Format>
inline void ManyRowsOfX(const LogitsArgs& a) {
  constexpr int64_t kRows = L::kScratchRows;
  static_assert(kRows <= kLogitsScratchRows);
  const int64_t padded = (a.k + kLanes - 1) / kLanes * kLanes;
  for (int64_t m0 = 0; m0 < a.m; m0 += kResidentRows) {
    LogitsArgs part = a;
    part.table = reinterpret_cast<const uint8_t*>(a.scratch);
    part.row_bytes = padded * static_cast<int64_t>(sizeof(float));
    part.x = a.x + m0 * a.x_stride;
    part.m = a.m - m0 < kResidentRows ? a.m - m0 : kResidentRows;
    for (int64_t row = a.begin; row < a.end;) {
      const int64_t rows = a.end - row < kRows ? 1 : kRows;
      for (int64_t r = 0; r < rows; ++r) DecodeRow<L, Format>(a, row + r, a.scratch + r * padded);
      part.y = a.y + m0 * a.y_stride + row;
      if (rows == kRows)
        DecodedRows<L, L::kScratchRows>(part);
      else
        DecodedRows<L, 1>(part);
      row += rows;
    }
  }
}

// Rows of the table that are left over go the way of many rows of x: the bits are the same.
template <class L, class Format, int kR, int kM>
inline void FewRowsOfX(const LogitsArgs& a) {
  LogitsArgs rest = a;
  for (; rest.begin + kR <= a.end; rest.begin += kR)
    UpTo<L, Format, kR, kM, true>(a, rest.begin, 0, a.m);
  if (rest.begin < a.end) ManyRowsOfX<L, Format>(rest);
}

template <class L, class Format>
inline void Logits(const LogitsArgs& a) {
  if (a.m == 1)
    FewRowsOfX<L, Format, L::kSingleRows, 1>(a);
  else if (a.m <= L::kDirectCols)
    FewRowsOfX<L, Format, L::kDirectRows, L::kDirectCols>(a);
  else
    ManyRowsOfX<L, Format>(a);
}

/// Indexed by RowFormat.
template <class L>
constexpr LogitsOps kLogitsOps = {{Logits<L, F32Rows<L>>, Logits<L, F16Rows<L>>,
                                   Logits<L, Bf16Rows<L>>, Logits<L, Q8Rows<L>>,
                                   Logits<L, Q4Rows<L>>, Logits<L, Q4KRows<L>>,
                                   Logits<L, Q6KRows<L>>, Logits<L, TernaryRows<L>>}};

}  // namespace
}  // namespace tern::cpu
