// AVX2 for the int8 head. VPMADDUBSW would saturate (two products reach 65,280), so even and odd
// inputs are widened to int16 and VPMADDWD adds their products by pairs into int32, exactly.
#pragma once

#include <immintrin.h>

#include "backend/cpu/logits_contract.h"

namespace tern::cpu {
namespace {

struct Avx2Dot8 {
  struct Weights {
    __m256i even, odd;  // 16 int16: inputs 0 and 2, inputs 1 and 3 of eight outputs
  };
  struct Inputs {
    __m256i even, odd;
  };
  using Sum = __m256i;
  static constexpr int kVecs = 2;
  static constexpr int32_t kOffset = kWeightOffset;
  static constexpr int kFewRows = 1, kFewTiles = 2;
  static constexpr int kManyRows = 3, kManyTiles = 1;

  static Weights Load(const uint8_t* p) {
    const __m256i w = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {_mm256_and_si256(w, _mm256_set1_epi16(255)), _mm256_srli_epi16(w, 8)};
  }
  static Inputs Broadcast(const int8_t* x) {
    int32_t four;
    __builtin_memcpy(&four, x, sizeof four);
    const __m256i v = _mm256_set1_epi32(four);
    return {_mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8), _mm256_srai_epi16(v, 8)};
  }
  static Sum Clear() { return _mm256_setzero_si256(); }
  static Sum Mac(Sum sum, Weights w, Inputs x) {
    return _mm256_add_epi32(_mm256_add_epi32(sum, _mm256_madd_epi16(w.even, x.even)),
                            _mm256_madd_epi16(w.odd, x.odd));
  }
  static void Store(Sum sum, uint32_t* to) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(to), sum);
  }
};

}  // namespace
}  // namespace tern::cpu
