// The kernels of one instruction set; compiled with its flags (cmake/cpu_targets.cmake).
#include "backend/cpu/isa/avx2.h"

#include "backend/cpu/kernels/float_table.h"
#include "backend/cpu/kernels/ternary_gemm.h"
#include "backend/cpu/targets/targets.h"

namespace tern::cpu {

void GemmT2S8N16k4_Avx2(const GemmArgs& args) { TernaryGemm<Avx2>(args); }

const FloatOps* FloatOps_Avx2() { return &kFloatOps; }

}  // namespace tern::cpu
