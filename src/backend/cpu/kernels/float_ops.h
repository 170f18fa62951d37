// Bodies of the float operations over vectors of 16 lanes: the fixed reduction order of base/math.h
// is one vector register on AVX-512, two on AVX2, four on NEON. GCC and clang lower the same source
// to each. Include it only from targets/*.cc; everything is in an anonymous namespace (see
// ternary_gemm.h).
#pragma once

#include "backend/cpu/float_contract.h"
#include "base/exp.h"

namespace tern::cpu {
namespace {

using F16 = float __attribute__((vector_size(64), aligned(4), may_alias));
using I16 = int32_t __attribute__((vector_size(64), may_alias));
using U16 = uint32_t __attribute__((vector_size(64)));
using H16 = uint16_t __attribute__((vector_size(32), aligned(2), may_alias));
using B16 = int8_t __attribute__((vector_size(16), aligned(1), may_alias));
constexpr int64_t kLanes = 16;

#define TERN_INLINE [[gnu::always_inline]] inline

TERN_INLINE F16 Load(const float* p) { return *reinterpret_cast<const F16*>(p); }
TERN_INLINE void Store(float* p, F16 v) { *reinterpret_cast<F16*>(p) = v; }
// Not F16{} + x: an addition that compilers must keep, because of -0.
TERN_INLINE F16 Splat(float x) { return F16{x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }

// The last n < 16 floats, zeros behind them: lanes that get nothing added stay as they are.
TERN_INLINE F16 LoadTail(const float* p, int64_t n) {
  F16 v = {};
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
}

TERN_INLINE float Reduce(F16 v) {
  v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
  v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
  v += __builtin_shufflevector(v, v, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3);
  return v[0] + v[1];
}

TERN_INLINE F16 Larger(F16 a, F16 b) { return a < b ? b : a; }

// Of 16 lanes without NaN.
TERN_INLINE float Largest(F16 v) {
  v = Larger(
      v, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15));
  v = Larger(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7));
  v = Larger(v, __builtin_shufflevector(v, v, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3));
  return v[0] < v[1] ? v[1] : v[0];
}

TERN_INLINE int32_t Total(I16 v) {
  v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
  v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
  v += __builtin_shufflevector(v, v, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3);
  return v[0] + v[1];
}

TERN_INLINE F16 HalfToFloat16(H16 h) {
  // Shifting the exponent and multiplying by 2^112 rebuilds normal and subnormal halves exactly;
  // infinities and NaN come out with exponent 143 and are patched.
  const U16 w = __builtin_convertvector(h, U16);
  const U16 sign = (w & 0x8000u) << 16;
  const U16 magnitude = (w & 0x7fffu) << 13;
  const F16 scaled = __builtin_bit_cast(F16, magnitude) * 0x1p112f;
  const U16 finite = __builtin_bit_cast(U16, scaled);
  const U16 bits = (w & 0x7c00u) == 0x7c00u ? (magnitude | 0x7f800000u) : finite;
  return __builtin_bit_cast(F16, bits | sign);
}

template <RowType kType>
TERN_INLINE F16 LoadRow(const void* row, int64_t i) {
  if constexpr (kType == RowType::kF32) {
    return Load(static_cast<const float*>(row) + i);
  } else {
    const H16 h = *reinterpret_cast<const H16*>(static_cast<const uint16_t*>(row) + i);
    if constexpr (kType == RowType::kF16) return HalfToFloat16(h);
    return __builtin_bit_cast(F16, __builtin_convertvector(h, U16) << 16);
  }
}

template <RowType kType>
TERN_INLINE F16 LoadRowTail(const void* row, int64_t i, int64_t n) {
  if constexpr (kType == RowType::kF32) {
    return LoadTail(static_cast<const float*>(row) + i, n);
  } else {
    uint16_t padded[kLanes] = {};
    __builtin_memcpy(padded, static_cast<const uint16_t*>(row) + i,
                     static_cast<size_t>(n) * sizeof(uint16_t));
    return LoadRow<kType>(padded, 0);
  }
}

inline void RmsNorm(const float* x, const float* gain, float eps, int64_t n, float* out) {
  F16 squares = {};
  const int64_t whole = n / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) squares += Load(x + i) * Load(x + i);
  const F16 tail = LoadTail(x + whole, n - whole);
  squares += tail * tail;
  const float mean = Reduce(squares) / static_cast<float>(n);
  const float inverse = 1.0f / __builtin_sqrtf(mean + eps);
  for (int64_t i = 0; i < whole; i += kLanes)
    Store(out + i, Load(x + i) * inverse * Load(gain + i));
  for (int64_t i = whole; i < n; ++i) out[i] = x[i] * inverse * gain[i];
}

TERN_INLINE I16 RoundToInt8(F16 x) {
  // Adding 1.5 * 2^23 rounds half to even for |x| < 2^22; |x| <= 127.00001 here. NaN ends at -128.
  const F16 rounded = (x + 12582912.0f) - 12582912.0f;
  const F16 low = rounded >= -128.0f ? rounded : Splat(-128.0f);
  return __builtin_convertvector(low < 127.0f ? low : Splat(127.0f), I16);
}

inline void Quantize(const float* x, int64_t n, int8_t* q, float* step, int32_t* sum) {
  const int64_t whole = n / kLanes * kLanes;
  const F16 tail = LoadTail(x + whole, n - whole);
  // The maximum of numbers doesn't depend on the order, so four chains hide the latency. NaN is
  // never the larger one.
  F16 tops[4] = {};
  const auto take = [&tops](int chain, F16 v) __attribute__((always_inline)) {
    const F16 magnitude = __builtin_bit_cast(F16, __builtin_bit_cast(U16, v) & 0x7fffffffu);
    tops[chain] = Larger(tops[chain], magnitude);
  };
  int64_t at = 0;
  for (; at + 4 * kLanes <= whole; at += 4 * kLanes)
    for (int chain = 0; chain < 4; ++chain) take(chain, Load(x + at + chain * kLanes));
  for (; at < whole; at += kLanes) take(0, Load(x + at));
  take(1, tail);
  const float largest = Largest(Larger(Larger(tops[0], tops[1]), Larger(tops[2], tops[3])));
  const float s = 127.0f / (largest > 1e-5f ? largest : 1e-5f);
  I16 total = {};
  for (int64_t i = 0; i < whole; i += kLanes) {
    const I16 v = RoundToInt8(Load(x + i) * s);
    total += v;
    *reinterpret_cast<B16*>(q + i) = __builtin_convertvector(v, B16);
  }
  const I16 rest = RoundToInt8(tail * s);
  int32_t all = Total(total);
  for (int64_t i = whole; i < n; ++i) {
    q[i] = static_cast<int8_t>(rest[i - whole]);
    all += rest[i - whole];
  }
  *step = 1.0f / s;
  *sum = all;
}

TERN_INLINE F16 GateLanes(F16 gate, F16 up, bool silu) {
  if (silu) return gate / (ExpLanes<F16, U16>(-gate) + 1.0f) * up;
  const F16 positive = gate > 0.0f ? gate : F16{};
  return positive * positive * up;
}

inline void GateRow(const float* gate, const float* up, int64_t n, bool silu, float* out) {
  const int64_t whole = n / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes)
    Store(out + i, GateLanes(Load(gate + i), Load(up + i), silu));
  const F16 rest =
      GateLanes(LoadTail(gate + whole, n - whole), LoadTail(up + whole, n - whole), silu);
  for (int64_t i = whole; i < n; ++i) out[i] = rest[i - whole];
}

// Up to four rows of x at a time share the decoding of the row and hide the latency of the
// additions.
template <RowType kType, int kM>
inline void DotBlock(const void* row, const float* x, int64_t x_stride, int64_t k, float* out,
                     int64_t out_stride) {
  F16 sums[kM] = {};
  const int64_t whole = k / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    const F16 w = LoadRow<kType>(row, i);
    for (int m = 0; m < kM; ++m) sums[m] += Load(x + m * x_stride + i) * w;
  }
  if (whole < k) {
    const F16 w = LoadRowTail<kType>(row, whole, k - whole);
    for (int m = 0; m < kM; ++m) sums[m] += LoadTail(x + m * x_stride + whole, k - whole) * w;
  }
  for (int m = 0; m < kM; ++m) out[m * out_stride] = Reduce(sums[m]);
}

template <RowType kType>
inline void DotRowsOf(const void* row, const float* x, int64_t x_stride, int64_t m, int64_t k,
                      float* out, int64_t out_stride) {
  int64_t i = 0;
  for (; i + 4 <= m; i += 4)
    DotBlock<kType, 4>(row, x + i * x_stride, x_stride, k, out + i * out_stride, out_stride);
  for (; i < m; ++i)
    DotBlock<kType, 1>(row, x + i * x_stride, x_stride, k, out + i * out_stride, out_stride);
}

inline void DotRows(const void* row, RowType type, const float* x, int64_t x_stride, int64_t m,
                    int64_t k, float* out, int64_t out_stride) {
  if (type == RowType::kF16)
    return DotRowsOf<RowType::kF16>(row, x, x_stride, m, k, out, out_stride);
  if (type == RowType::kBF16)
    return DotRowsOf<RowType::kBF16>(row, x, x_stride, m, k, out, out_stride);
  DotRowsOf<RowType::kF32>(row, x, x_stride, m, k, out, out_stride);
}

inline void DotTernary(const int8_t* w, const float* x, int64_t x_stride, int64_t m, int64_t k,
                       float* out, int64_t out_stride) {
  const int64_t whole = k / kLanes * kLanes;
  for (int64_t r = 0; r < m; ++r) {
    const float* row = x + r * x_stride;
    F16 sum = {};
    for (int64_t i = 0; i < whole; i += kLanes)
      sum += Load(row + i) * __builtin_convertvector(*reinterpret_cast<const B16*>(w + i), F16);
    F16 tail = {};
    for (int64_t i = whole; i < k; ++i) tail[i - whole] = row[i] * static_cast<float>(w[i]);
    out[r * out_stride] = Reduce(sum + tail);
  }
}

inline void Attend(const AttendArgs& a) {
  alignas(64) float weights[kMaxBlock];
  const int64_t count = a.count;
  const auto row = [&](const float* const* pieces, int64_t p) {
    return pieces[p / kPiecePositions] + p % kPiecePositions * a.head_dim;
  };
  const int64_t whole = count / kLanes * kLanes;
  for (int64_t h = 0; h < a.heads; ++h) {
    const float* q = a.q + h * a.head_dim;
    float largest = -__builtin_inff();
    for (int64_t p = 0; p < count; ++p) {
      float score;
      DotBlock<RowType::kF32, 1>(row(a.k, p), q, 0, a.head_dim, &score, 0);
      weights[p] = score * a.scale;
      largest = largest < weights[p] ? weights[p] : largest;
    }
    F16 sums = {};
    for (int64_t p = 0; p < whole; p += kLanes) {
      const F16 e = ExpLanes<F16, U16>(Load(weights + p) - largest);
      Store(weights + p, e);
      sums += e;
    }
    for (int64_t p = whole; p < count; ++p) {
      weights[p] = Exp(weights[p] - largest);
      sums[p - whole] += weights[p];
    }
    a.largest[h] = largest;
    a.sum[h] = Reduce(sums);

    float* out = a.out + h * a.head_dim;
    int64_t d = 0;
    for (; d + 4 * kLanes <= a.head_dim; d += 4 * kLanes) {
      F16 acc[4] = {};
      for (int64_t p = 0; p < count; ++p) {
        const float* v = row(a.v, p) + d;
        for (int i = 0; i < 4; ++i) acc[i] += Load(v + i * kLanes) * weights[p];
      }
      for (int i = 0; i < 4; ++i) Store(out + d + i * kLanes, acc[i]);
    }
    for (; d < a.head_dim; ++d) {
      float acc = 0;
      for (int64_t p = 0; p < count; ++p) acc += weights[p] * row(a.v, p)[d];
      out[d] = acc;
    }
  }
}

}  // namespace
}  // namespace tern::cpu
