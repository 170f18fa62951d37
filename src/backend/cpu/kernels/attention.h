// Attention over a 16-bit cache, in the order of the reference (backend/reference/reference_math.h,
// AttendHead16): that of AMX's TDPBF16PS. Include it only from targets/*.cc (see
// ternary_gemm.h).
#pragma once

#include "backend/cpu/kernels/float_ops.h"
#include "base/bf16.h"
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace tern::cpu {
namespace {

constexpr int64_t kMostQueries = 16;

[[gnu::always_inline]] inline F16 LoadHalves(const uint16_t* p) {
#if defined(__AVX512F__)
  return (F16)_mm512_maskz_cvtph_ps(0xffff,
                                    _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#else
  return HalfToFloat16(*reinterpret_cast<const H16*>(p));
#endif
}

// The factors are rounded so that products are exact: fusing the addition changes nothing.
[[gnu::always_inline]] inline F16 AddProduct(F16 sum, F16 a, F16 b) {
#if defined(__AVX512F__)
  return (F16)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)sum);
#else
  return sum + a * b;
#endif
}

// Two vectors of 16: elements d and d + 1 of 16 positions, or 16 elements of positions p and p + 1.
struct Pairs {
  F16 even, odd;
};
[[gnu::always_inline]] inline Pairs SplitPairs(const uint16_t* p) {
  U16 both;
  __builtin_memcpy(&both, p, sizeof both);
  return {__builtin_bit_cast(F16, both << 16), __builtin_bit_cast(F16, both & 0xffff0000u)};
}

template <bool kBf16>
[[gnu::always_inline]] inline Pairs LoadKeys(const uint16_t* k, int64_t d) {
  if constexpr (kBf16) return SplitPairs(k + d * 16);
  return {LoadHalves(k + d * 16), LoadHalves(k + (d + 1) * 16)};
}

template <bool kBf16>
[[gnu::always_inline]] inline Pairs LoadValues(const uint16_t* v, int64_t p, int64_t d,
                                               int64_t head_dim) {
  const int64_t count = head_dim - d < kLanes ? head_dim - d : kLanes;
  if constexpr (kBf16) {
    const uint16_t* at = v + (p / 2 * head_dim + d) * 2;
    if (count == kLanes) return SplitPairs(at);
    uint16_t padded[2 * kLanes] = {};
    __builtin_memcpy(padded, at, static_cast<size_t>(count) * 4);
    return SplitPairs(padded);
  } else {
    const uint16_t* at = v + p * head_dim + d;
    if (count == kLanes) return {LoadHalves(at), LoadHalves(at + head_dim)};
    uint16_t padded[2][kLanes] = {};
    __builtin_memcpy(padded[0], at, static_cast<size_t>(count) * 2);
    __builtin_memcpy(padded[1], at + head_dim, static_cast<size_t>(count) * 2);
    return {LoadHalves(padded[0]), LoadHalves(padded[1])};
  }
}

template <bool kBf16>
[[gnu::always_inline]] inline F16 RoundFactor(F16 x) {
  if constexpr (kBf16) return __builtin_bit_cast(F16, Bf16Bits<F16, U16>(x) << 16);
  return Round13<F16, U16>(x);
}

inline void RoundFactors(bool bf16, const float* x, int64_t n, float* out) {
  const int64_t whole = n / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes)
    Store(out + i, bf16 ? RoundFactor<true>(Load(x + i)) : RoundFactor<false>(Load(x + i)));
  for (int64_t i = whole; i < n; ++i)
    out[i] = bf16 ? RoundBf16(x[i]) : Round13<float, uint32_t>(x[i]);
}

// To the 16 bits of a cache: bfloat16 or halves.
inline void NarrowRow(bool bf16, const float* x, int64_t n, uint16_t* out) {
  const int64_t whole = n / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    const F16 v = Load(x + i);
    *reinterpret_cast<H16*>(out + i) =
        __builtin_convertvector(bf16 ? Bf16Bits<F16, U16>(v) : HalfBits<F16, U16>(v), H16);
  }
  for (int64_t i = whole; i < n; ++i)
    out[i] = static_cast<uint16_t>(bf16 ? Bf16Bits<float, uint32_t>(x[i])
                                        : HalfBits<float, uint32_t>(x[i]));
}

// Scores of kRows queries against kTiles tiles of 16 positions; q (rows, head_dim).
template <bool kBf16, int kRows, int kTiles>
[[gnu::always_inline]] inline void Scores(const float* q, const uint16_t* k, int64_t head_dim,
                                          float (*scores)[kMaxBlock]) {
  F16 total[kRows][kTiles] = {};
  for (int64_t first = 0; first < head_dim; first += 32) {
    const int64_t end = head_dim - first < 32 ? head_dim : first + 32;
    F16 even[kRows][kTiles] = {}, odd[kRows][kTiles] = {};
    for (int64_t d = first; d < end; d += 2) {
      for (int t = 0; t < kTiles; ++t) {
        const Pairs pairs = LoadKeys<kBf16>(k + t * 16 * head_dim, d);
        for (int r = 0; r < kRows; ++r) {
          even[r][t] = AddProduct(even[r][t], pairs.even, Splat(q[r * head_dim + d]));
          odd[r][t] = AddProduct(odd[r][t], pairs.odd, Splat(q[r * head_dim + d + 1]));
        }
      }
    }
    for (int r = 0; r < kRows; ++r)
      for (int t = 0; t < kTiles; ++t) total[r][t] += even[r][t] + odd[r][t];
  }
  for (int r = 0; r < kRows; ++r)
    for (int t = 0; t < kTiles; ++t) Store(scores[r] + t * kLanes, total[r][t]);
}

// Turns the scores of one query into weights, with zeros behind the last of
// `count` positions up to `padded`.
template <bool kBf16>
inline void Softmax(float* scores, int64_t count, int64_t padded, float scale, float* largest,
                    float* sum) {
  const I16 lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const auto lane_count = [&](int64_t i) { return static_cast<int32_t>(count - i); };
  F16 top = Splat(-__builtin_inff());
  for (int64_t i = 0; i < count; i += kLanes) {
    const F16 score = Load(scores + i) * scale;
    Store(scores + i, score);
    const F16 valid = lanes < lane_count(i) ? score : Splat(-__builtin_inff());
    top = top < valid ? valid : top;
  }
  float most = -__builtin_inff();
  for (int64_t i = 0; i < kLanes; ++i) most = most < top[i] ? top[i] : most;
  F16 sums = {};
  for (int64_t i = 0; i < count; i += kLanes) {
    const F16 e = ExpLanes<F16, U16>(Load(scores + i) - most);
    const F16 rounded = RoundFactor<kBf16>(e);
    const F16 weight = lanes < lane_count(i) ? rounded : F16{};
    Store(scores + i, weight);
    sums += weight;
  }
  for (int64_t i = (count + kLanes - 1) / kLanes * kLanes; i < padded; i += kLanes)
    Store(scores + i, F16{});
  *largest = most;
  *sum = Reduce(sums);
}

// out = weights v for kRows queries and kTiles tiles of 16 elements from d on.
template <bool kBf16, int kRows, int kTiles>
[[gnu::always_inline]] inline void Values(const float (*weights)[kMaxBlock],
                                          const uint16_t* const* v, int64_t padded,
                                          int64_t head_dim, int64_t d, float* out) {
  F16 total[kRows][kTiles] = {};
  for (int64_t first = 0; first < padded; first += kPiecePositions) {
    F16 even[kRows][kTiles] = {}, odd[kRows][kTiles] = {};
    for (int64_t p = 0; p < kPiecePositions; p += 2) {
      for (int t = 0; t < kTiles; ++t) {
        const Pairs pairs =
            LoadValues<kBf16>(v[first / kPiecePositions], p, d + t * kLanes, head_dim);
        for (int r = 0; r < kRows; ++r) {
          even[r][t] = AddProduct(even[r][t], pairs.even, Splat(weights[r][first + p]));
          odd[r][t] = AddProduct(odd[r][t], pairs.odd, Splat(weights[r][first + p + 1]));
        }
      }
    }
    for (int r = 0; r < kRows; ++r)
      for (int t = 0; t < kTiles; ++t) total[r][t] += even[r][t] + odd[r][t];
  }
  for (int r = 0; r < kRows; ++r)
    for (int t = 0; t < kTiles; ++t) {
      float* to = out + r * head_dim + d + t * kLanes;
      if (head_dim - d - t * kLanes >= kLanes) {
        Store(to, total[r][t]);
        continue;
      }
      for (int64_t i = 0; i < head_dim - d - t * kLanes; ++i) to[i] = total[r][t][i];
    }
}

template <bool kBf16, int kRows, int kScoreTiles, int kValueTiles>
inline void AttendRows(const Attend16Args& a, int64_t first, int64_t most) {
  alignas(64) float weights[kRows][kMaxBlock];
  const int64_t d = a.head_dim;
  const int64_t padded = (most + kPiecePositions - 1) / kPiecePositions * kPiecePositions;
  for (int64_t p = 0; p < padded; p += 16 * kScoreTiles)
    Scores<kBf16, kRows, kScoreTiles>(a.q + first * d,
                                      a.k[p / kPiecePositions] + p % kPiecePositions * d, d,
                                      reinterpret_cast<float(*)[kMaxBlock]>(&weights[0][p]));
  for (int r = 0; r < kRows; ++r)
    Softmax<kBf16>(weights[r], a.counts[first + r], padded, a.scale, a.largest + first + r,
                   a.sum + first + r);
  float* out = a.out + first * d;
  int64_t i = 0;
  for (; i + kValueTiles * kLanes <= d; i += kValueTiles * kLanes)
    Values<kBf16, kRows, kValueTiles>(weights, a.v, padded, d, i, out);
  for (; i < d; i += kLanes) Values<kBf16, kRows, 1>(weights, a.v, padded, d, i, out);
}

inline int64_t MostPositions(const Attend16Args& a, int64_t first, int64_t rows) {
  int64_t most = 0;
  for (int64_t r = first; r < first + rows; ++r) most = most < a.counts[r] ? a.counts[r] : most;
  return most;
}

// Four queries share what they load; one alone takes several tiles for enough independent sums.
template <bool kBf16>
inline void AttendQueries(const Attend16Args& a) {
  int64_t r = 0;
  for (; r + 4 <= a.rows; r += 4) AttendRows<kBf16, 4, 1, 2>(a, r, MostPositions(a, r, 4));
  for (; r < a.rows; ++r) AttendRows<kBf16, 1, 2, 4>(a, r, MostPositions(a, r, 1));
}

inline void Attend16(const Attend16Args& a) {
  if (a.bf16)
    AttendQueries<true>(a);
  else
    AttendQueries<false>(a);
}

// Blocks of one query, joined in increasing order.
inline void JoinBlocks(const JoinArgs& a) {
  const int64_t d = a.head_dim, whole = d / kLanes * kLanes;
  float largest = a.largest[0];
  for (int64_t b = 1; b < a.blocks; ++b) {
    const float other = a.largest[b * a.stride];
    largest = largest < other ? other : largest;
  }
  float sum = 0;
  for (int64_t b = 0; b < a.blocks; ++b) {
    const float factor = Exp(a.largest[b * a.stride] - largest);
    sum += factor * a.sum[b * a.stride];
    const float* part = a.parts + b * a.stride;
    for (int64_t i = 0; i < whole; i += kLanes)
      Store(a.out + i, (b == 0 ? F16{} : Load(a.out + i)) + factor * Load(part + i));
    for (int64_t i = whole; i < d; ++i) a.out[i] = (b == 0 ? 0.0f : a.out[i]) + factor * part[i];
  }
  const float inverse = 1.0f / sum;
  for (int64_t i = 0; i < whole; i += kLanes) Store(a.out + i, Load(a.out + i) * inverse);
  for (int64_t i = whole; i < d; ++i) a.out[i] *= inverse;
}

// Turns the first `dims` elements of a head by the angles of its position.
inline void TurnHead(float* head, bool interleaved, int64_t dims, const float* cos_sin) {
  const int64_t half = dims / 2;
  int64_t i = 0;
  if (!interleaved)
    for (; i + kLanes <= half; i += kLanes) {
      const F16 x = Load(head + i), y = Load(head + half + i);
      const F16 c = Load(cos_sin + i), s = Load(cos_sin + half + i);
      Store(head + i, x * c - y * s);
      Store(head + half + i, y * c + x * s);
    }
  for (; i < half; ++i) {
    float& a = interleaved ? head[2 * i] : head[i];
    float& b = interleaved ? head[2 * i + 1] : head[half + i];
    const float x = a, y = b, c = cos_sin[i], s = cos_sin[half + i];
    a = x * c - y * s;
    b = y * c + x * s;
  }
}

}  // namespace
}  // namespace tern::cpu
