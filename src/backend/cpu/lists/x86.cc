#include "backend/cpu/kernel_list.h"
#include "backend/cpu/logits_list.h"
#include "backend/cpu/targets/head_targets.h"
#include "backend/cpu/targets/targets.h"

namespace tern::cpu {
namespace {

constexpr CpuFeatures kAvx512Both = kCpuAvx2 | kCpuAvx512 | kCpuAvx512Vnni;

constexpr CpuFeatures kAmx = kAvx512Both | kCpuAmxInt8 | kCpuAmxBf16;

// From how many rows on tiles win over VPDPBUSD: docs/performance.md.
constexpr int64_t kAmxRows = 4;

constexpr TernaryKernel kKernels[] = {
    {"gemm_t2_s8_n16k4_amx", "amx", kAmx, kAmxRows, GemmT2S8N16k4_Amx},
    {"gemm_t2_s8_n16k4_avx512vnni", "avx512vnni", kAvx512Both, 1, GemmT2S8N16k4_Avx512Vnni},
    {"gemm_t2_s8_n16k4_avxvnni", "avxvnni", kCpuAvx2 | kCpuAvxVnni, 1, GemmT2S8N16k4_AvxVnni},
    {"gemm_t2_s8_n16k4_avx2", "avx2", kCpuAvx2, 1, GemmT2S8N16k4_Avx2},
    {"gemm_t2_s8_n16k4_scalar", "scalar", 0, 1, GemmT2S8N16k4_Scalar},
};

const FloatTarget kFloatTargets[] = {
    {"amx", kAmx, FloatOps_Amx()},
    {"avx512vnni", kAvx512Both, FloatOps_Avx512Vnni()},
    {"avx2", kCpuAvx2, FloatOps_Avx2()},
    {"scalar", 0, FloatOps_Scalar()},
};

constexpr Int8LogitsKernel kInt8Logits[] = {
    {"logits_q8_s8_n16k4_amx", "amx", kAmx, kAmxRows, LogitsQ8S8N16k4_Amx},
    {"logits_q8_s8_n16k4_avx512vnni", "avx512vnni", kAvx512Both, 1, LogitsQ8S8N16k4_Avx512Vnni},
    {"logits_q8_s8_n16k4_avxvnni", "avxvnni", kCpuAvx2 | kCpuAvxVnni, 1, LogitsQ8S8N16k4_AvxVnni},
    {"logits_q8_s8_n16k4_avx2", "avx2", kCpuAvx2, 1, LogitsQ8S8N16k4_Avx2},
    {"logits_q8_s8_n16k4_scalar", "scalar", 0, 1, LogitsQ8S8N16k4_Scalar},
};

constexpr LogitsTarget kLogitsTargets[] = {
    {"avx512vnni", kAvx512Both, &kLogits_Avx512Vnni},
    {"avx2", kCpuAvx2 | kCpuF16c, &kLogits_Avx2},
    {"scalar", 0, &kLogits_Scalar},
};

}  // namespace

std::span<const TernaryKernel> AllKernels() { return kKernels; }
std::span<const FloatTarget> AllFloatTargets() { return kFloatTargets; }
std::span<const LogitsTarget> AllLogitsTargets() { return kLogitsTargets; }
std::span<const Int8LogitsKernel> AllInt8LogitsKernels() { return kInt8Logits; }

}  // namespace tern::cpu
