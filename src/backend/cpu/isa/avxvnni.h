// AVX-VNNI: VPDPBUSD in its VEX encoding, for CPUs without AVX-512 (Alder Lake and later). Two ymm
// a cycle, latency 5.
#pragma once

#include "backend/cpu/isa/avx2.h"

namespace tern::cpu {
namespace {

struct AvxVnni : Avx2 {
  static constexpr bool kFolds = false;
  static constexpr int64_t kFoldEvery = int64_t{1} << 40;
  static constexpr int Tiles(int rows) { return rows <= 2 ? 2 : 1; }

  static Partial Mac(Partial sum, Vec code, Vec act) {
    return _mm256_dpbusd_avx_epi32(sum, code, act);
  }
  static void Fold(Partial part, int32_t* sums) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(sums), part);
  }
};

}  // namespace
}  // namespace tern::cpu
