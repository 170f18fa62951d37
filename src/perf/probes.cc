#include "perf/probes.h"

#include <array>

#if defined(__x86_64__)
#include <immintrin.h>
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

// Twelve sums in registers 0 to 11, so that the latency of the instruction (4 to 5 cycles, two a
// cycle) is hidden; 12 and 13 hold what is multiplied. Written out because a compiler may keep an
// array of sums in memory. What the registers held before doesn't matter: no integer is slow.
constexpr int kChains = 12;
#define TERN_CHAINS(step) \
  step(0) step(1) step(2) step(3) step(4) step(5) step(6) step(7) step(8) step(9) step(10) step(11)

#if defined(__x86_64__)

// Functions here are compiled for more than the rest of the program, each for what its probe needs.
#define TERN_TARGET(isa) __attribute__((target(isa)))

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

#define TERN_LOOP(before, step)                                                                    \
  __asm__ volatile(before "1:\n" TERN_CHAINS(step) "dec %0\njnz 1b\nvzeroupper"                    \
                   : "+r"(rounds)                                                                  \
                   :                                                                               \
                   : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
                     "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

// 32 products of unsigned and signed bytes, added in pairs to 16 bits, then to 32: three
// instructions.
#define TERN_STEP(i)                       \
  "vpmaddubsw %%ymm12, %%ymm13, %%ymm15\n" \
  "vpmaddwd %%ymm14, %%ymm15, %%ymm15\n"   \
  "vpaddd %%ymm15, %%ymm" #i ", %%ymm" #i "\n"
void ComputeAvx2(int64_t rounds) { TERN_LOOP("", TERN_STEP); }
#undef TERN_STEP

#define TERN_STEP(i) "%{vex%} vpdpbusd %%ymm12, %%ymm13, %%ymm" #i "\n"
void ComputeAvxVnni(int64_t rounds) { TERN_LOOP("", TERN_STEP); }
#undef TERN_STEP

#define TERN_STEP(i) "vpdpbusd %%zmm12, %%zmm13, %%zmm" #i "\n"
void ComputeAvx512Vnni(int64_t rounds) { TERN_LOOP("", TERN_STEP); }
#undef TERN_STEP

// Zeros first: what a register held might be a denormal, and floats that are so are slow.
#define TERN_STEP(i) "vfmadd231ps %%ymm12, %%ymm13, %%ymm" #i "\n"
void ComputeFma(int64_t rounds) { TERN_LOOP("vzeroall\n", TERN_STEP); }
#undef TERN_STEP

#define TERN_STEP(i) "vfmadd231ps %%zmm12, %%zmm13, %%zmm" #i "\n"
void ComputeFma512(int64_t rounds) { TERN_LOOP("vzeroall\n", TERN_STEP); }
#undef TERN_STEP

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
#define TERN_TILES(multiply)                                                                   \
  const TileConfig config;                                                                     \
  alignas(64) uint8_t codes[1024];                                                             \
  /* Int8 numbers, and ones of bfloat16. */                                                    \
  for (size_t i = 0; i < sizeof(codes); ++i) codes[i] = i % 2 ? 0x3f : 0x80;                   \
  /* GCC 12's intrinsics don't tell the compiler that they read memory: it would leave out the \
     stores. */                                                                                \
  __asm__ volatile("" : : "r"(&config), "r"(codes) : "memory");                                \
  _tile_loadconfig(&config);                                                                   \
  _tile_zero(0);                                                                               \
  _tile_zero(1);                                                                               \
  _tile_zero(2);                                                                               \
  _tile_zero(3);                                                                               \
  _tile_loadd(4, codes, 64);                                                                   \
  _tile_loadd(5, codes, 64);                                                                   \
  _tile_loadd(6, codes, 64);                                                                   \
  _tile_loadd(7, codes, 64);                                                                   \
  for (int64_t round = 0; round < rounds; ++round) {                                           \
    multiply(0, 4, 6);                                                                         \
    multiply(1, 4, 7);                                                                         \
    multiply(2, 5, 6);                                                                         \
    multiply(3, 5, 7);                                                                         \
  }                                                                                            \
  _tile_release()

TERN_TARGET("amx-tile,amx-int8") void ComputeAmx(int64_t rounds) { TERN_TILES(_tile_dpbusd); }
TERN_TARGET("amx-tile,amx-bf16") void ComputeAmxBf16(int64_t rounds) { TERN_TILES(_tile_dpbf16ps); }

constexpr ComputeProbe kIntProbes[] = {
    {"avx2", kCpuAvx2, kChains * 2.0 * 32, ComputeAvx2},
    {"avxvnni", kCpuAvxVnni, kChains * 2.0 * 32, ComputeAvxVnni},
    {"avx512vnni", kCpuAvx512Vnni, kChains * 2.0 * 64, ComputeAvx512Vnni},
    {"amx", kCpuAmxInt8, 4 * kTileOps, ComputeAmx},
};
constexpr ComputeProbe kFloatProbes[] = {
    {"avx2", kCpuAvx2 | kCpuFma, kChains * 2.0 * 8, ComputeFma},
    {"avx512", kCpuAvx512, kChains * 2.0 * 16, ComputeFma512},
};
constexpr ComputeProbe kBfloat16Probes[] = {
    {"amx", kCpuAmxBf16, 4 * kTileOps / 2, ComputeAmxBf16},
};

#elif defined(__aarch64__)

#define TERN_STEP(i) "sdot v" #i ".4s, v12.16b, v13.16b\n"
void ComputeDotProd(int64_t rounds) {
  __asm__ volatile(".arch armv8.2-a+dotprod\n1:\n" TERN_CHAINS(TERN_STEP) "subs %0, %0, #1\nb.ne 1b"
                   : "+r"(rounds)
                   :
                   : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",
                     "v11");
}
#undef TERN_STEP

// Zeros first: what a register held might be a denormal, and floats that are so may be slow.
#define TERN_ZERO(i) "movi v" #i ".2d, #0\n"
#define TERN_STEP(i) "fmla v" #i ".4s, v12.4s, v13.4s\n"
void ComputeNeon(int64_t rounds) {
  __asm__ volatile(TERN_CHAINS(TERN_ZERO) TERN_ZERO(12)
                       TERN_ZERO(13) "1:\n" TERN_CHAINS(TERN_STEP) "subs %0, %0, #1\nb.ne 1b"
                   : "+r"(rounds)
                   :
                   : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
                     "v12", "v13");
}
#undef TERN_STEP
#undef TERN_ZERO

constexpr ComputeProbe kIntProbes[] = {
    {"neon_dotprod", kCpuDotProd, kChains * 2.0 * 16, ComputeDotProd},
};
constexpr ComputeProbe kFloatProbes[] = {{"neon", kCpuNeon, kChains * 2.0 * 4, ComputeNeon}};
constexpr std::array<ComputeProbe, 0> kBfloat16Probes = {};

#else

constexpr std::array<ComputeProbe, 0> kIntProbes = {}, kFloatProbes = {}, kBfloat16Probes = {};

#endif

}  // namespace

ReadFunction WidestRead([[maybe_unused]] CpuFeatures features) {
#if defined(__x86_64__)
  if (features & kCpuAvx512) return ReadAvx512;
  if (features & kCpuAvx2) return ReadAvx2;
#endif
  return ReadWords;
}

std::span<const ComputeProbe> IntProbes() { return kIntProbes; }
std::span<const ComputeProbe> FloatProbes() { return kFloatProbes; }
std::span<const ComputeProbe> Bfloat16Probes() { return kBfloat16Probes; }

}  // namespace tern
