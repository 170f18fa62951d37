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

// Chunks [begin, end) of a row as floats. The row `ahead` bytes further on is asked for.
template <class L, class Format>
inline void DecodeChunks(const LogitsArgs& a, int64_t row, int64_t begin, int64_t end,
                         int64_t ahead, float* out) {
  const int64_t elems = Format::Elems(a), bytes = Format::Bytes(elems), per = elems / kLanes;
  typename Format::Block block;
  for (int64_t c = begin; c < end;) {
    const int64_t b = per == 1 ? c : c / per;
    const uint8_t* p = a.table + row * a.row_bytes + b * bytes;
    Prefetch(p + ahead, bytes);
    Format::Open(a, row, b, p, block);
    const int64_t stop = end < (b + 1) * per ? end : (b + 1) * per;
    for (; c < stop; ++c, out += kLanes) L::Store(out, Format::Chunk(block, c - b * per));
  }
}

// Many rows of x: a few rows of the table are decoded once for all of them, some columns at a time
// so that they stay in the first-level cache.
constexpr int64_t kPartChunks = 32;
// Rows of x that go past them together, and stay in the second-level cache meanwhile.
constexpr int64_t kResidentRows = 64;

// sums[m][r] += x[m] . w[r] over `chunks` chunks.
template <class L, int kR, int kM>
inline void Accumulate(const float (*w)[kPartChunks * kLanes], const float* x, int64_t x_stride,
                       int64_t chunks, float (*sums)[kR][kLanes]) {
  using Lanes = typename L::Lanes;
  Lanes acc[kM][kR];
#pragma GCC unroll 16
  for (int m = 0; m < kM; ++m)
#pragma GCC unroll 16
    for (int r = 0; r < kR; ++r) acc[m][r] = L::Load(sums[m][r]);
  for (int64_t i = 0; i < chunks * kLanes; i += kLanes) {
    Lanes row[kR];
#pragma GCC unroll 16
    for (int r = 0; r < kR; ++r) row[r] = L::Load(w[r] + i);
#pragma GCC unroll 16
    for (int m = 0; m < kM; ++m) {
      const Lanes v = L::Load(x + m * x_stride + i);
#pragma GCC unroll 16
      for (int r = 0; r < kR; ++r) acc[m][r] = L::AddProduct(acc[m][r], v, row[r]);
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < kM; ++m)
#pragma GCC unroll 16
    for (int r = 0; r < kR; ++r) L::Store(sums[m][r], acc[m][r]);
}

// `count` <= kM rows of x.
template <class L, int kR, int kM>
inline void AccumulateUpTo(const float (*w)[kPartChunks * kLanes], const float* x, int64_t x_stride,
                           int64_t count, int64_t chunks, float (*sums)[kR][kLanes]) {
  if constexpr (kM > 1) {
    if (count < kM) return AccumulateUpTo<L, kR, kM - 1>(w, x, x_stride, count, chunks, sums);
  }
  Accumulate<L, kR, kM>(w, x, x_stride, chunks, sums);
}

// kR rows of the table times `count` <= kResidentRows rows of x.
template <class L, class Format, int kR>
inline void DecodedRows(const LogitsArgs& a, int64_t row, int64_t m0, int64_t count) {
  alignas(64) float w[kR][kPartChunks * kLanes];
  alignas(64) float sums[kResidentRows][kR][kLanes];
  __builtin_memset(sums, 0, static_cast<size_t>(count) * sizeof sums[0]);
  const float* x = a.x + m0 * a.x_stride;
  const int64_t chunks = a.k / kLanes, blocks = (count + L::kBlockCols - 1) / L::kBlockCols;
  for (int64_t c = 0; c < chunks; c += kPartChunks) {
    const int64_t end = chunks - c < kPartChunks ? chunks : c + kPartChunks;
    for (int r = 0; r < kR; ++r)
      DecodeChunks<L, Format>(a, row + r, c, end, kR * a.row_bytes, w[r]);
    // Blocks of nearly equal size.
    for (int64_t i = 0; i < blocks; ++i) {
      const int64_t m = i * count / blocks, next = (i + 1) * count / blocks;
      AccumulateUpTo<L, kR, L::kBlockCols>(w, x + m * a.x_stride + c * kLanes, a.x_stride, next - m,
                                           end - c, sums + m);
    }
  }
  if (const int64_t rest = a.k % kLanes; rest != 0) {
    for (int r = 0; r < kR; ++r) L::Store(w[r], Format::Tail(a, row + r, rest));
    for (int64_t m = 0; m < count; ++m) {
      alignas(64) float tail[kLanes] = {};
      __builtin_memcpy(tail, x + m * a.x_stride + a.k - rest,
                       static_cast<size_t>(rest) * sizeof(float));
      AccumulateUpTo<L, kR, 1>(w, tail, 0, 1, 1, sums + m);
    }
  }
  for (int64_t m = 0; m < count; ++m)
    for (int r = 0; r < kR; ++r)
      a.y[(m0 + m) * a.y_stride + row + r] = L::Reduce(L::Load(sums[m][r]));
}

template <class L, class Format>
inline void ManyRowsOfX(const LogitsArgs& a) {
  for (int64_t m0 = 0; m0 < a.m; m0 += kResidentRows) {
    const int64_t count = a.m - m0 < kResidentRows ? a.m - m0 : kResidentRows;
    int64_t row = a.begin;
    for (; row + L::kBlockRows <= a.end; row += L::kBlockRows)
      DecodedRows<L, Format, L::kBlockRows>(a, row, m0, count);
    if constexpr (L::kBlockRows > 1) {
      for (; row < a.end; ++row) DecodedRows<L, Format, 1>(a, row, m0, count);
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
