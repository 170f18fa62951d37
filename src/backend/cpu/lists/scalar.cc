// For other CPUs and for TERN_SCALAR_ONLY.
#include "backend/cpu/kernel_list.h"
#include "backend/cpu/targets/targets.h"

namespace tern::cpu {
namespace {

constexpr TernaryKernel kKernels[] = {
    {"gemm_t2_s8_n16k4_scalar", "scalar", 0, 1, GemmT2S8N16k4_Scalar}};
const FloatTarget kFloatTargets[] = {{"scalar", 0, FloatOps_Scalar()}};

}  // namespace

std::span<const TernaryKernel> AllKernels() { return kKernels; }
std::span<const FloatTarget> AllFloatTargets() { return kFloatTargets; }

}  // namespace tern::cpu
