// The kernels of one instruction set; compiled with its flags (cmake/cpu_targets.cmake).
#include "backend/cpu/isa/neon.h"

#include "backend/cpu/kernels/float_table.h"
#include "backend/cpu/kernels/ternary_gemm.h"
#include "backend/cpu/targets/targets.h"

namespace tern::cpu {

void GemmT2S8N16k4_Neon(const GemmArgs& args) { TernaryGemm<Neon>(args); }

const FloatOps* FloatOps_Neon() { return &kFloatOps; }

}  // namespace tern::cpu
