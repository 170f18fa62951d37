// The kernels of one instruction set; compiled with its flags (cmake/cpu_targets.cmake).
#include "backend/cpu/isa/neon_dotprod.h"

#include "backend/cpu/kernels/ternary_gemm.h"
#include "backend/cpu/targets/targets.h"

namespace tern::cpu {

void GemmT2S8N16k4_NeonDotProd(const GemmArgs& args) { TernaryGemm<NeonDotProd>(args); }

}  // namespace tern::cpu
