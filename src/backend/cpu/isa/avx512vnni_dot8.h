// AVX-512 VNNI for the int8 head. VPDPBUSD zmm: latency 5, two a cycle, wraps.
#pragma once

#include <immintrin.h>

#include "backend/cpu/logits_contract.h"

namespace tern::cpu {
namespace {

struct Avx512VnniDot8 {
  using Weights = __m512i;
  using Inputs = __m512i;
  using Sum = __m512i;
  static constexpr int kVecs = 1;
  static constexpr int32_t kOffset = kWeightOffset;
  static constexpr int kFewRows = 4, kFewTiles = 4;
  static constexpr int kManyRows = 8, kManyTiles = 2;

  static Weights Load(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static Inputs Broadcast(const int8_t* x) {
    int32_t four;
    __builtin_memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
  }
  static Sum Clear() { return _mm512_setzero_si512(); }
  static Sum Mac(Sum sum, Weights w, Inputs x) { return _mm512_dpbusd_epi32(sum, w, x); }
  static void Store(Sum sum, uint32_t* to) { _mm512_store_si512(to, sum); }
};

}  // namespace
}  // namespace tern::cpu
