#include "perf/probes.h"

#include <array>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace tern {
namespace {

uint64_t ReadWords(const std::byte* data, size_t bytes, int64_t rounds) {
  const auto* words = reinterpret_cast<const uint64_t*>(data);
  std::array<uint64_t, 8> sums{};
  for (int64_t round = 0; round < rounds; ++round)
    for (size_t i = 0; i < bytes / sizeof(uint64_t); i += sums.size())
      for (size_t lane = 0; lane < sums.size(); ++lane) sums[lane] ^= words[i + lane] + sums[lane];
  uint64_t all = 0;
  for (const uint64_t sum : sums) all ^= sum;
  return all;
}

#if defined(__x86_64__)

// Functions here are compiled for more than the rest of the program, each for what its probe needs.
#define TERN_TARGET(isa) __attribute__((target(isa)))

// The accumulators of a compute probe are independent chains: enough of them to hide the latency of
// the instruction (4 to 5 cycles, two a cycle). The empty asm statements keep the compiler from
// seeing that all chains compute the same.
constexpr int kChains = 12;

TERN_TARGET("avx2") uint64_t ReadAvx2(const std::byte* data, size_t bytes, int64_t rounds) {
  __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
  for (int64_t round = 0; round < rounds; ++round)
    for (size_t i = 0; i < bytes; i += 128) {
      const auto* p = reinterpret_cast<const __m256i*>(data + i);
      a = _mm256_or_si256(a, _mm256_load_si256(p));
      b = _mm256_or_si256(b, _mm256_load_si256(p + 1));
      c = _mm256_or_si256(c, _mm256_load_si256(p + 2));
      d = _mm256_or_si256(d, _mm256_load_si256(p + 3));
    }
  a = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
  return static_cast<uint64_t>(_mm256_extract_epi64(a, 0)) ^
         static_cast<uint64_t>(_mm256_extract_epi64(a, 3));
}

TERN_TARGET("avx512f") uint64_t ReadAvx512(const std::byte* data, size_t bytes, int64_t rounds) {
  __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
  for (int64_t round = 0; round < rounds; ++round)
    for (size_t i = 0; i < bytes; i += 256) {
      a = _mm512_or_si512(a, _mm512_load_si512(data + i));
      b = _mm512_or_si512(b, _mm512_load_si512(data + i + 64));
      c = _mm512_or_si512(c, _mm512_load_si512(data + i + 128));
      d = _mm512_or_si512(d, _mm512_load_si512(data + i + 192));
    }
  a = _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d));
  a = _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d));
  alignas(64) uint64_t out[8];
  _mm512_store_si512(out, a);
  return out[0] ^ out[7];
}

// 32 products of unsigned and signed bytes, added in pairs to 16 bits, then to 32: three
// instructions.
TERN_TARGET("avx2") uint32_t ComputeAvx2(int64_t rounds) {
  __m256i sums[kChains] = {};
  const __m256i codes = _mm256_set1_epi8(1), x = _mm256_set1_epi8(3);
  const __m256i ones = _mm256_set1_epi16(1);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (__m256i& sum : sums) {
      __m256i pairs = _mm256_maddubs_epi16(codes, x);
      __asm__ volatile("" : "+x"(pairs));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
    }
  }
  __m256i all = sums[0];
  for (int i = 1; i < kChains; ++i) all = _mm256_xor_si256(all, sums[i]);
  return static_cast<uint32_t>(_mm256_extract_epi32(all, 0));
}

TERN_TARGET("avx2,avxvnni") uint32_t ComputeAvxVnni(int64_t rounds) {
  __m256i sums[kChains] = {};
  const __m256i codes = _mm256_set1_epi8(1), x = _mm256_set1_epi8(3);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (__m256i& sum : sums) {
      sum = _mm256_dpbusd_avx_epi32(sum, codes, x);
      __asm__ volatile("" : "+x"(sum));
    }
  }
  __m256i all = sums[0];
  for (int i = 1; i < kChains; ++i) all = _mm256_xor_si256(all, sums[i]);
  return static_cast<uint32_t>(_mm256_extract_epi32(all, 0));
}

TERN_TARGET("avx512f,avx512vnni") uint32_t ComputeAvx512Vnni(int64_t rounds) {
  __m512i sums[kChains] = {};
  const __m512i codes = _mm512_set1_epi32(0x01010101), x = _mm512_set1_epi32(0x03030303);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (__m512i& sum : sums) {
      sum = _mm512_dpbusd_epi32(sum, codes, x);
      __asm__ volatile("" : "+v"(sum));
    }
  }
  __m512i all = sums[0];
  for (int i = 1; i < kChains; ++i) all = _mm512_xor_si512(all, sums[i]);
  alignas(64) uint32_t out[16];
  _mm512_store_si512(out, all);
  return out[0];
}

// The layout of LDTILECFG's operand (Intel SDM, "TILECFG").
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

constexpr double kTileOps = 2.0 * 16 * 16 * 64;

// Two by two tiles of sums, as a matrix product holds them.
TERN_TARGET("amx-tile,amx-int8") uint32_t ComputeAmx(int64_t rounds) {
  const TileConfig config;
  alignas(64) uint8_t codes[1024], out[1024];
  for (uint8_t& code : codes) code = 1;
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, codes, 64);
  _tile_loadd(5, codes, 64);
  _tile_loadd(6, codes, 64);
  _tile_loadd(7, codes, 64);
  for (int64_t round = 0; round < rounds; ++round) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  _tile_stored(0, out, 64);
  _tile_release();
  return out[0];
}

constexpr IntProbe kIntProbes[] = {
    {"avx2", kCpuAvx2, kChains * 2.0 * 32, ComputeAvx2},
    {"avxvnni", kCpuAvxVnni, kChains * 2.0 * 32, ComputeAvxVnni},
    {"avx512vnni", kCpuAvx512Vnni, kChains * 2.0 * 64, ComputeAvx512Vnni},
    {"amx", kCpuAmxInt8, 4 * kTileOps, ComputeAmx},
};

#elif defined(__aarch64__)

constexpr int kChains = 12;

__attribute__((target("arch=armv8.2-a+dotprod"))) uint32_t ComputeDotProd(int64_t rounds) {
  int32x4_t sums[kChains] = {};
  const int8x16_t codes = vdupq_n_s8(1), x = vdupq_n_s8(3);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int32x4_t& sum : sums) {
      sum = vdotq_s32(sum, codes, x);
      __asm__ volatile("" : "+w"(sum));
    }
  }
  int32x4_t all = sums[0];
  for (int i = 1; i < kChains; ++i) all = vaddq_s32(all, sums[i]);
  return static_cast<uint32_t>(vaddvq_s32(all));
}

constexpr IntProbe kIntProbes[] = {
    {"neon_dotprod", kCpuDotProd, kChains * 2.0 * 16, ComputeDotProd},
};

#else

constexpr std::array<IntProbe, 0> kIntProbes = {};

#endif

}  // namespace

ReadFunction WidestRead([[maybe_unused]] CpuFeatures features) {
#if defined(__x86_64__)
  if (features & kCpuAvx512) return ReadAvx512;
  if (features & kCpuAvx2) return ReadAvx2;
#endif
  return ReadWords;
}

std::span<const IntProbe> IntProbes() { return kIntProbes; }

}  // namespace tern
