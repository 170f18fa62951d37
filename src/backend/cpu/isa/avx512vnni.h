// AVX-512 VNNI. VPDPBUSD zmm: 64 products of u8 by s8 added by fours into 16 int32, latency 5, two
// a cycle on ports 0 and 5 (Cascade Lake, Ice Lake). 32 registers.
#pragma once

#include <immintrin.h>

#include "backend/cpu/kernel_contract.h"

namespace tern::cpu {
namespace {

struct Avx512Vnni {
  using Vec = __m512i;
  using Partial = __m512i;
  static constexpr int kBytes = 64, kVecs = 1;
  static constexpr bool kFolds = false;  // int32 lanes hold 2 * 128 * K for any K below 2^23
  static constexpr int64_t kFoldEvery = int64_t{1} << 40;
  // 8 to 10 sums hide the latency. 2 tiles by 12 rows are 24, with 2 codes, 2 packed steps, the
  // activation and the mask in the other registers; a broadcast serves 2 products, an unpacking 12.
  static constexpr int kMostRows = 12;
  static constexpr int Tiles(int) { return 2; }
  static constexpr int Sets(int rows) { return rows <= 2 ? 4 : rows <= 4 ? 2 : 1; }

  static Vec Load(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static Vec Plane(Vec packed, int p) {
    return _mm512_and_si512(
        p == 0 ? packed : _mm512_srli_epi16(packed, static_cast<unsigned>(2 * p)),
        _mm512_set1_epi8(3));
  }
  // Plane p times 4^p, and sums of such products divided again, exactly: codes of up to 128 by
  // activations of up to 128 overflow int32 after 2^17 products a lane.
  static constexpr bool kPlanesInPlace = true;
  static Vec PlaneInPlace(Vec packed, int p) {
    return _mm512_and_si512(packed, _mm512_set1_epi8(static_cast<char>(3 << (2 * p))));
  }
  static Partial Descale(Partial sum, int p) {
    return reinterpret_cast<__m512i>(reinterpret_cast<__v16si>(sum) >> (2 * p));
  }
  static Vec Broadcast(const int8_t* x) {
    int32_t four;
    __builtin_memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
  }
  static Partial Clear() { return _mm512_setzero_si512(); }
  static Partial Plus(Partial a, Partial b) { return _mm512_add_epi32(a, b); }
  static Partial Mac(Partial sum, Vec code, Vec act) { return _mm512_dpbusd_epi32(sum, code, act); }
  static void Fold(Partial part, int32_t* sums) { _mm512_store_si512(sums, part); }
};

}  // namespace
}  // namespace tern::cpu
