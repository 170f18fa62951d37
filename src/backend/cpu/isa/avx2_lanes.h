// AVX2 and F16C for the float kernels of the head. 16 registers, two to 16 lanes; two additions or
// multiplications a cycle, latency 4.
#pragma once

#include <immintrin.h>

#include "backend/cpu/isa/lanes.h"

namespace tern::cpu {
namespace {

struct Avx2Lanes : LaneMath<32> {
  static constexpr int kSingleRows = 4, kDirectRows = 1, kDirectCols = 4;
  static constexpr int kBlockRows = 2, kBlockCols = 3;

  TERN_INLINE static __m128i Load16(const void* p) {
    return _mm_loadu_si128(static_cast<const __m128i*>(p));
  }
  TERN_INLINE static __m128i Load8(const void* p) {
    return _mm_loadl_epi64(static_cast<const __m128i*>(p));
  }

  TERN_INLINE static Lanes Half(const uint8_t* p) {
    return {{_mm256_cvtph_ps(Load16(p)), _mm256_cvtph_ps(Load16(p + 16))}};
  }
  TERN_INLINE static Lanes Bf16(const uint8_t* p) {
    const auto high = [](__m128i h) __attribute__((always_inline)) {
      return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
    };
    return {{high(Load16(p)), high(Load16(p + 16))}};
  }
  TERN_INLINE static Lanes Int8(const int8_t* p) {
    return {{_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(Load8(p))),
             _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(Load8(p + 8)))}};
  }
  TERN_INLINE static Lanes HalfSplat(const uint8_t* p) {
    int16_t half;
    __builtin_memcpy(&half, p, sizeof half);
    const __m256 d = _mm256_cvtph_ps(_mm_set1_epi16(half));
    return {{d, d}};
  }

  // A lane looks its value up in {-scale, 0, scale} by the two low bits.
  using Table = __m256;
  TERN_INLINE static Table TernaryTable(float scale) {
    return _mm256_mul_ps(_mm256_set1_ps(scale), _mm256_setr_ps(-1, 0, 1, 0, -1, 0, 1, 0));
  }
  TERN_INLINE static Lanes Ternary(Table table, const uint8_t* p) {
    int32_t codes;
    __builtin_memcpy(&codes, p, sizeof codes);
    const __m256i all = _mm256_set1_epi32(codes);
    const __m256i low = _mm256_srlv_epi32(all, _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14));
    const __m256i high = _mm256_srlv_epi32(all, _mm256_setr_epi32(16, 18, 20, 22, 24, 26, 28, 30));
    return {{_mm256_permutevar_ps(table, low), _mm256_permutevar_ps(table, high)}};
  }
};

}  // namespace
}  // namespace tern::cpu
