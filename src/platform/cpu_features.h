// What this CPU can do, as far as kernels care.
#pragma once

#include <cstdint>
#include <string>

namespace tern {

/// Instruction sets that kernels ask for. A bit is set only when the operating system saves the
/// registers too.
enum CpuFeature : uint32_t {
  kCpuAvx2 = 1u << 0,
  kCpuAvxVnni = 1u << 1,  // VEX-encoded VPDPBUSD
  kCpuAvx512 = 1u << 2,   // F, BW, VL, DQ
  kCpuAvx512Vnni = 1u << 3,
  kCpuAvx512Vbmi = 1u << 4,
  kCpuAmxInt8 = 1u << 5,  // tiles, after asking the kernel for permission
  kCpuNeon = 1u << 6,
  kCpuDotProd = 1u << 7,
  kCpuI8mm = 1u << 8,
  kCpuF16c = 1u << 9,
  kCpuAmxBf16 = 1u << 10,
  kCpuFma = 1u << 11,
};
using CpuFeatures = uint32_t;

/// Detected once per process.
CpuFeatures DetectCpu();

/// "avx2 avx512vnni ..." for people; "none" when empty.
std::string DescribeCpu(CpuFeatures features);

}  // namespace tern
