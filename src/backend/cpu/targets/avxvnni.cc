// The kernels of one instruction set; compiled with its flags (cmake/cpu_targets.cmake).
#include "backend/cpu/isa/avxvnni.h"

#include "backend/cpu/kernels/ternary_gemm.h"
#include "backend/cpu/targets/targets.h"

namespace tern::cpu {

void GemmT2S8N16k4_AvxVnni(const GemmArgs& args) { TernaryGemm<AvxVnni>(args); }

}  // namespace tern::cpu
