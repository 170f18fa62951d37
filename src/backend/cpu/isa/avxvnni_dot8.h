// AVX-VNNI for the int8 head: VPDPBUSD in its VEX encoding, which wraps and doesn't saturate.
#pragma once

#include <immintrin.h>

#include "backend/cpu/logits_contract.h"

namespace tern::cpu {
namespace {

struct AvxVnniDot8 {
  using Weights = __m256i;
  using Inputs = __m256i;
  using Sum = __m256i;
  static constexpr int kVecs = 2;
  static constexpr int32_t kOffset = kWeightOffset;
  static constexpr int kFewRows = 1, kFewTiles = 4;
  static constexpr int kManyRows = 6, kManyTiles = 1;

  static Weights Load(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static Inputs Broadcast(const int8_t* x) {
    int32_t four;
    __builtin_memcpy(&four, x, sizeof four);
    return _mm256_set1_epi32(four);
  }
  static Sum Clear() { return _mm256_setzero_si256(); }
  static Sum Mac(Sum sum, Weights w, Inputs x) { return _mm256_dpbusd_avx_epi32(sum, w, x); }
  static void Store(Sum sum, uint32_t* to) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(to), sum);
  }
};

}  // namespace
}  // namespace tern::cpu
