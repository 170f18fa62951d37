// AVX-VNNI: VPDPBUSD in its VEX encoding, for CPUs without AVX-512 (Alder Lake and later). Two ymm
// a cycle, latency 5.
#pragma once

#include "backend/cpu/isa/avx2.h"

namespace tern::cpu {
namespace {

struct AvxVnni : Avx2 {
  static constexpr bool kFolds = false;
  static constexpr int64_t kFoldEvery = int64_t{1} << 40;
  static constexpr int Sets(int rows) { return rows == 1 ? 4 : rows == 2 ? 2 : 1; }

  // Plane p times 4^p, and sums of such products divided again, exactly: codes of up to 128 by
  // activations of up to 128 overflow int32 after 2^17 products a lane.
  static constexpr bool kPlanesInPlace = true;
  static Vec PlaneInPlace(Vec packed, int p) {
    return _mm256_and_si256(packed, _mm256_set1_epi8(static_cast<char>(3 << (2 * p))));
  }
  static Partial Descale(Partial sum, int p) { return _mm256_srai_epi32(sum, 2 * p); }
  static Partial Plus(Partial a, Partial b) { return _mm256_add_epi32(a, b); }
  static Partial Mac(Partial sum, Vec code, Vec act) {
    return _mm256_dpbusd_avx_epi32(sum, code, act);
  }
  static void Fold(Partial part, int32_t* sums) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(sums), part);
  }
};

}  // namespace
}  // namespace tern::cpu
