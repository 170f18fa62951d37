#include "backend/cpu/kernel_list.h"
#include "backend/cpu/logits_list.h"
#include "backend/cpu/targets/head_targets.h"
#include "backend/cpu/targets/targets.h"

namespace tern::cpu {
namespace {

// A pair of rows fills SMMLA. Without an Arm machine to measure on, the threshold is a guess from
// operation counts: 2 rows cost as many instructions as with SDOT, 4 rows half as many.
constexpr int64_t kI8mmMinRows = 3;

constexpr TernaryKernel kKernels[] = {
    {"gemm_t2_s8_n16k4_i8mm", "i8mm", kCpuNeon | kCpuDotProd | kCpuI8mm, kI8mmMinRows,
     GemmT2S8N16k4_NeonI8mm},
    {"gemm_t2_s8_n16k4_neon_dotprod", "neon_dotprod", kCpuNeon | kCpuDotProd, 1,
     GemmT2S8N16k4_NeonDotProd},
    {"gemm_t2_s8_n16k4_neon", "neon", kCpuNeon, 1, GemmT2S8N16k4_Neon},
    {"gemm_t2_s8_n16k4_scalar", "scalar", 0, 1, GemmT2S8N16k4_Scalar},
};

const FloatTarget kFloatTargets[] = {
    {"neon", kCpuNeon, FloatOps_Neon()},
    {"scalar", 0, FloatOps_Scalar()},
};

constexpr Int8LogitsKernel kInt8Logits[] = {
    {"logits_q8_s8_n16k4_neon_dotprod", "neon_dotprod", kCpuNeon | kCpuDotProd, 1,
     LogitsQ8S8N16k4_NeonDotProd},
    {"logits_q8_s8_n16k4_neon", "neon", kCpuNeon, 1, LogitsQ8S8N16k4_Neon},
    {"logits_q8_s8_n16k4_scalar", "scalar", 0, 1, LogitsQ8S8N16k4_Scalar},
};

constexpr LogitsTarget kLogitsTargets[] = {
    {"neon", kCpuNeon, &kLogits_Neon},
    {"scalar", 0, &kLogits_Scalar},
};

}  // namespace

std::span<const TernaryKernel> AllKernels() { return kKernels; }
std::span<const FloatTarget> AllFloatTargets() { return kFloatTargets; }
std::span<const LogitsTarget> AllLogitsTargets() { return kLogitsTargets; }
std::span<const Int8LogitsKernel> AllInt8LogitsKernels() { return kInt8Logits; }

}  // namespace tern::cpu
