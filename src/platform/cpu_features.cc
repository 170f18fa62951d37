#include "platform/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace tern {
namespace {

#if defined(__x86_64__)

struct Registers {
  uint32_t a = 0, b = 0, c = 0, d = 0;
};

Registers Cpuid(uint32_t leaf, uint32_t subleaf) {
  Registers r;
  __get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d);
  return r;
}

bool Bit(uint32_t word, int bit) { return (word >> bit) & 1; }

uint64_t EnabledState() {
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

// Tile registers are 8 KiB of state that Linux hands out on request only
// (Documentation/arch/x86/xstate.rst).
bool RequestTiles() {
  constexpr long kRequestXcompPermission = 0x1023, kXtileData = 18;
  return ::syscall(SYS_arch_prctl, kRequestXcompPermission, kXtileData) == 0;
}

CpuFeatures Detect() {
  const Registers basic = Cpuid(1, 0);
  if (!Bit(basic.c, 27)) return 0;  // OSXSAVE: without it XGETBV is no instruction
  const uint64_t state = EnabledState();
  const bool avx_state = (state & 0x6) == 0x6, avx512_state = (state & 0xe6) == 0xe6;
  const bool tile_state = (state & 0x60000) == 0x60000;
  const Registers extended = Cpuid(7, 0), more = Cpuid(7, 1);
  CpuFeatures features = 0;
  const auto add = [&](bool present, CpuFeature feature) {
    if (present) features |= feature;
  };
  const bool avx2 = avx_state && Bit(basic.c, 28) && Bit(extended.b, 5);
  add(avx2, kCpuAvx2);
  add(avx2 && Bit(basic.c, 29), kCpuF16c);
  add(avx2 && Bit(basic.c, 12), kCpuFma);
  add(avx2 && Bit(more.a, 4), kCpuAvxVnni);
  const bool avx512 = avx512_state && Bit(extended.b, 16) && Bit(extended.b, 17) &&
                      Bit(extended.b, 30) && Bit(extended.b, 31);
  add(avx512, kCpuAvx512);
  add(avx512 && Bit(extended.c, 11), kCpuAvx512Vnni);
  add(avx512 && Bit(extended.c, 1), kCpuAvx512Vbmi);
  const bool tiles = avx512 && tile_state && Bit(extended.d, 24) && RequestTiles();
  add(tiles && Bit(extended.d, 25), kCpuAmxInt8);
  add(tiles && Bit(extended.d, 22), kCpuAmxBf16);
  return features;
}

#elif defined(__aarch64__)

CpuFeatures Detect() {
  constexpr unsigned long kAsimdDp = 1ul << 20, kI8mm = 1ul << 13;
  CpuFeatures features = kCpuNeon;
  if (::getauxval(AT_HWCAP) & kAsimdDp) features |= kCpuDotProd;
  if (::getauxval(AT_HWCAP2) & kI8mm) features |= kCpuI8mm;
  return features;
}

#else

CpuFeatures Detect() { return 0; }

#endif

}  // namespace

CpuFeatures DetectCpu() {
  static const CpuFeatures features = Detect();
  return features;
}

std::string DescribeCpu(CpuFeatures features) {
  static constexpr struct {
    CpuFeature feature;
    const char* name;
  } kNames[] = {{kCpuAvx2, "avx2"},
                {kCpuF16c, "f16c"},
                {kCpuAvxVnni, "avxvnni"},
                {kCpuAvx512, "avx512"},
                {kCpuAvx512Vnni, "avx512vnni"},
                {kCpuAvx512Vbmi, "avx512vbmi"},
                {kCpuAmxInt8, "amxint8"},
                {kCpuAmxBf16, "amxbf16"},
                {kCpuFma, "fma"},
                {kCpuNeon, "neon"},
                {kCpuDotProd, "dotprod"},
                {kCpuI8mm, "i8mm"}};
  std::string text;
  for (const auto& entry : kNames)
    if (features & entry.feature) text += (text.empty() ? "" : " ") + std::string(entry.name);
  return text.empty() ? "none" : text;
}

}  // namespace tern
