// AVX-512 for the float kernels of the head. 32 registers, one to 16 lanes; two additions or
// multiplications a cycle (ports 0 and 5), latency 4; conversions take port 5.
#pragma once

#include <immintrin.h>

#include "backend/cpu/isa/lanes.h"

namespace tern::cpu {
namespace {

struct Avx512Lanes : LaneMath<64> {
  static constexpr int kSingleRows = 4, kDirectRows = 4, kDirectCols = 4;
  static constexpr int kBlockRows = 4, kBlockCols = 6;

  TERN_INLINE static __m128i Load16(const void* p) {
    return _mm_loadu_si128(static_cast<const __m128i*>(p));
  }
  TERN_INLINE static __m256i Load32(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }

  TERN_INLINE static Lanes Half(const uint8_t* p) { return {{_mm512_cvtph_ps(Load32(p))}}; }
  TERN_INLINE static Lanes Bf16(const uint8_t* p) {
    return {{_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(Load32(p)), 16))}};
  }
  TERN_INLINE static Lanes Int8(const int8_t* p) {
    return {{_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(Load16(p)))}};
  }
  TERN_INLINE static Lanes HalfSplat(const uint8_t* p) {
    int16_t half;
    __builtin_memcpy(&half, p, sizeof half);
    return {{_mm512_cvtph_ps(_mm256_set1_epi16(half))}};
  }

  // A lane looks its value up in {-scale, 0, scale} by the two low bits.
  using Table = __m512;
  TERN_INLINE static Table TernaryTable(float scale) {
    return _mm512_mul_ps(_mm512_set1_ps(scale), _mm512_set4_ps(0, 1, 0, -1));
  }
  TERN_INLINE static Lanes Ternary(Table table, const uint8_t* p) {
    int32_t codes;
    __builtin_memcpy(&codes, p, sizeof codes);
    const __m512i shifts =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return {{_mm512_permutevar_ps(table, _mm512_srlv_epi32(_mm512_set1_epi32(codes), shifts))}};
  }
};

}  // namespace
}  // namespace tern::cpu
