// The kernels of one instruction set; compiled with its flags (cmake/cpu_targets.cmake).
#include "backend/cpu/kernels/ternary_amx.h"
#include "backend/cpu/targets/targets.h"

namespace tern::cpu {

void GemmT2S8N16k4_Amx(const GemmArgs& args) { TernaryGemmAmx(args); }

}  // namespace tern::cpu
