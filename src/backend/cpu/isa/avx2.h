// AVX2. VPMADDUBSW: 32 products of u8 by s8 added by pairs into 16 int16 (saturating), latency 5,
// one or two a cycle; VPADDW adds them up. 16 registers.
#pragma once

#include <immintrin.h>

#include "backend/cpu/kernel_contract.h"

namespace tern::cpu {
namespace {

struct Avx2 {
  using Vec = __m256i;
  using Partial = __m256i;  // 16 int16: pairs of inputs
  static constexpr int kBytes = 32, kVecs = 2;
  static constexpr bool kFolds = true;
  // A pair is at most 2 * 2 * 128 = 512 in magnitude, four planes a step: after 16 steps 64 pairs
  // reach -32768 exactly and +32512, both of which int16 holds.
  static constexpr int64_t kFoldEvery = 16;
  static_assert(kFoldEvery * 4 * 2 * 2 * 128 <= 32768);
  // 8 accumulators, 2 codes, 2 packed, the activation, two constants.
  static constexpr int kMostRows = 4;
  static constexpr int Tiles(int) { return 1; }
  static constexpr int Sets(int rows) { return rows == 1 ? 4 : 1; }

  static Vec Load(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static Vec Plane(Vec packed, int p) {
    return _mm256_and_si256(p == 0 ? packed : _mm256_srli_epi16(packed, 2 * p),
                            _mm256_set1_epi8(3));
  }
  static constexpr bool kPlanesInPlace = false;
  static Vec PlaneInPlace(Vec packed, int p) { return Plane(packed, p); }
  static Partial Descale(Partial sum, int) { return sum; }
  static Vec Broadcast(const int8_t* x) {
    int32_t four;
    __builtin_memcpy(&four, x, sizeof four);
    return _mm256_set1_epi32(four);
  }
  static Partial Clear() { return _mm256_setzero_si256(); }
  static Partial Mac(Partial sum, Vec code, Vec act) {
    return _mm256_add_epi16(sum, _mm256_maddubs_epi16(code, act));
  }
  static void Fold(Partial part, int32_t* sums) {
    auto* to = reinterpret_cast<__m256i*>(sums);
    const __m256i wide = _mm256_madd_epi16(part, _mm256_set1_epi16(1));
    _mm256_store_si256(to, _mm256_add_epi32(_mm256_load_si256(to), wide));
  }
};

}  // namespace
}  // namespace tern::cpu
