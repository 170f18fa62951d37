// The kernels of one instruction set; compiled with its flags (cmake/cpu_targets.cmake).
#include "backend/cpu/isa/avx512vnni.h"

#include "backend/cpu/kernels/float_table.h"
#include "backend/cpu/kernels/ternary_gemm.h"
#include "backend/cpu/targets/targets.h"

namespace tern::cpu {

void GemmT2S8N16k4_Avx512Vnni(const GemmArgs& args) { TernaryGemm<Avx512Vnni>(args); }

const FloatOps* FloatOps_Avx512Vnni() { return &kFloatOps; }

}  // namespace tern::cpu
