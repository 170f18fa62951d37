// Attention over a narrow cache, in the order of the reference (backend/reference/reference_math.h,
// AttendHead16): that of AMX's TDPBF16PS. Include it only from targets/*.cc (see
// ternary_gemm.h).
#pragma once

#include <type_traits>

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

[[gnu::always_inline]] inline F16 LoadCodes(const int8_t* p) {
  return __builtin_convertvector(*reinterpret_cast<const B16*>(p), F16);
}

template <CacheType kType>
using Element = std::conditional_t<kType == CacheType::kInt8, int8_t, uint16_t>;

template <CacheType kType>
[[gnu::always_inline]] inline Pairs LoadKeys(const Element<kType>* k, int64_t d) {
  if constexpr (kType == CacheType::kBf16) return SplitPairs(k + d * 16);
  if constexpr (kType == CacheType::kF16)
    return {LoadHalves(k + d * 16), LoadHalves(k + (d + 1) * 16)};
  if constexpr (kType == CacheType::kInt8)
    return {LoadCodes(k + d * 16), LoadCodes(k + (d + 1) * 16)};
}

template <CacheType kType>
[[gnu::always_inline]] inline F16 LoadElements(const Element<kType>* p) {
  if constexpr (kType == CacheType::kInt8)
    return LoadCodes(p);
  else
    return LoadHalves(p);
}

template <CacheType kType>
[[gnu::always_inline]] inline Pairs LoadValues(const Element<kType>* v, int64_t p, int64_t d,
                                               int64_t head_dim) {
  const int64_t count = head_dim - d < kLanes ? head_dim - d : kLanes;
  if constexpr (kType == CacheType::kBf16) {
    const uint16_t* at = v + (p / 2 * head_dim + d) * 2;
    if (count == kLanes) return SplitPairs(at);
    uint16_t padded[2 * kLanes] = {};
    __builtin_memcpy(padded, at, static_cast<size_t>(count) * 4);
    return SplitPairs(padded);
  } else {
    const Element<kType>* at = v + p * head_dim + d;
    if (count == kLanes) return {LoadElements<kType>(at), LoadElements<kType>(at + head_dim)};
    Element<kType> padded[2][kLanes] = {};
    __builtin_memcpy(padded[0], at, static_cast<size_t>(count) * sizeof(Element<kType>));
    __builtin_memcpy(padded[1], at + head_dim, static_cast<size_t>(count) * sizeof(Element<kType>));
    return {LoadElements<kType>(padded[0]), LoadElements<kType>(padded[1])};
  }
}

// The steps of 16 positions from p on.
[[gnu::always_inline]] inline F16 LoadSteps(const void* const* pieces, int64_t p,
                                            int64_t head_dim) {
  const auto* steps = reinterpret_cast<const float*>(
      static_cast<const int8_t*>(pieces[p / kPiecePositions]) + kPiecePositions * head_dim);
  return Load(steps + p % kPiecePositions);
}

template <CacheType kType>
[[gnu::always_inline]] inline F16 RoundFactor(F16 x) {
  if constexpr (kType == CacheType::kBf16)
    return __builtin_bit_cast(F16, Bf16Bits<F16, U16>(x) << 16);
  return Round13<F16, U16>(x);
}

inline void RoundFactors(bool bf16, const float* x, int64_t n, float* out) {
  const int64_t whole = n / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes)
    Store(out + i, bf16 ? RoundFactor<CacheType::kBf16>(Load(x + i))
                        : RoundFactor<CacheType::kF16>(Load(x + i)));
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
template <CacheType kType, int kRows, int kTiles>
[[gnu::always_inline]] inline void Scores(const float* q, const Element<kType>* k, int64_t head_dim,
                                          float (*scores)[kMaxBlock]) {
  F16 total[kRows][kTiles] = {};
  for (int64_t first = 0; first < head_dim; first += 32) {
    const int64_t end = head_dim - first < 32 ? head_dim : first + 32;
    F16 even[kRows][kTiles] = {}, odd[kRows][kTiles] = {};
    for (int64_t d = first; d < end; d += 2) {
      for (int t = 0; t < kTiles; ++t) {
        const Pairs pairs = LoadKeys<kType>(k + t * 16 * head_dim, d);
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

// Turns the scores of query r into what its values are multiplied with, with zeros behind the last
// of its positions up to `padded`.
template <CacheType kType>
inline void Softmax(const AttendNarrowArgs& a, int64_t r, int64_t padded, float* scores) {
  const I16 lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const int64_t count = a.counts[r];
  const auto lane_count = [&](int64_t i) { return static_cast<int32_t>(count - i); };
  F16 top = Splat(-__builtin_inff());
  for (int64_t i = 0; i < count; i += kLanes) {
    F16 score;
    if constexpr (kType == CacheType::kInt8)
      score = Load(scores + i) * (LoadSteps(a.k, i, a.head_dim) * (a.q_steps[r] * a.scale));
    else
      score = Load(scores + i) * a.scale;
    Store(scores + i, score);
    const F16 valid = lanes < lane_count(i) ? score : Splat(-__builtin_inff());
    top = top < valid ? valid : top;
  }
  float most = -__builtin_inff();
  for (int64_t i = 0; i < kLanes; ++i) most = most < top[i] ? top[i] : most;
  F16 sums = {};
  for (int64_t i = 0; i < count; i += kLanes) {
    const F16 e = ExpLanes<F16, U16>(Load(scores + i) - most);
    const F16 rounded = RoundFactor<kType>(e);
    const F16 weight = lanes < lane_count(i) ? rounded : F16{};
    sums += weight;
    if constexpr (kType == CacheType::kInt8)  // what is no number, of a stale step, becomes 0
      Store(scores + i, RoundFactor<kType>(weight * LoadSteps(a.v, i, a.head_dim)));
    else
      Store(scores + i, weight);
  }
  for (int64_t i = (count + kLanes - 1) / kLanes * kLanes; i < padded; i += kLanes)
    Store(scores + i, F16{});
  a.largest[r] = most;
  a.sum[r] = Reduce(sums);
}

// out = weights v for kRows queries and kTiles tiles of 16 elements from d on.
template <CacheType kType, int kRows, int kTiles>
[[gnu::always_inline]] inline void Values(const float (*weights)[kMaxBlock], const void* const* v,
                                          int64_t padded, int64_t head_dim, int64_t d, float* out) {
  F16 total[kRows][kTiles] = {};
  for (int64_t first = 0; first < padded; first += kPiecePositions) {
    const auto* piece = static_cast<const Element<kType>*>(v[first / kPiecePositions]);
    F16 even[kRows][kTiles] = {}, odd[kRows][kTiles] = {};
    for (int64_t p = 0; p < kPiecePositions; p += 2) {
      for (int t = 0; t < kTiles; ++t) {
        const Pairs pairs = LoadValues<kType>(piece, p, d + t * kLanes, head_dim);
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

template <CacheType kType, int kRows, int kScoreTiles, int kValueTiles>
inline void AttendRows(const AttendNarrowArgs& a, int64_t first, int64_t most) {
  alignas(64) float weights[kRows][kMaxBlock];
  const int64_t d = a.head_dim;
  const int64_t padded = (most + kPiecePositions - 1) / kPiecePositions * kPiecePositions;
  for (int64_t p = 0; p < padded; p += 16 * kScoreTiles)
    Scores<kType, kRows, kScoreTiles>(
        a.q + first * d,
        static_cast<const Element<kType>*>(a.k[p / kPiecePositions]) + p % kPiecePositions * d, d,
        reinterpret_cast<float(*)[kMaxBlock]>(&weights[0][p]));
  for (int r = 0; r < kRows; ++r) Softmax<kType>(a, first + r, padded, weights[r]);
  float* out = a.out + first * d;
  int64_t i = 0;
  for (; i + kValueTiles * kLanes <= d; i += kValueTiles * kLanes)
    Values<kType, kRows, kValueTiles>(weights, a.v, padded, d, i, out);
  for (; i < d; i += kLanes) Values<kType, kRows, 1>(weights, a.v, padded, d, i, out);
}

inline int64_t MostPositions(const AttendNarrowArgs& a, int64_t first, int64_t rows) {
  int64_t most = 0;
  for (int64_t r = first; r < first + rows; ++r) most = most < a.counts[r] ? a.counts[r] : most;
  return most;
}

// Four queries share what they load; one alone takes several tiles for enough independent sums.
template <CacheType kType>
inline void AttendQueries(const AttendNarrowArgs& a) {
  int64_t r = 0;
  for (; r + 4 <= a.rows; r += 4) AttendRows<kType, 4, 1, 2>(a, r, MostPositions(a, r, 4));
  for (; r < a.rows; ++r) AttendRows<kType, 1, 2, 4>(a, r, MostPositions(a, r, 1));
}

inline void AttendNarrow(const AttendNarrowArgs& a) {
  if (a.type == CacheType::kInt8) return AttendQueries<CacheType::kInt8>(a);
  if (a.type == CacheType::kBf16) return AttendQueries<CacheType::kBf16>(a);
  AttendQueries<CacheType::kF16>(a);
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
