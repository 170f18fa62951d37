// The kernels of one instruction set; compiled with its flags (cmake/cpu_targets.cmake).
#include "backend/cpu/kernels/ternary_i8mm.h"
#include "backend/cpu/targets/targets.h"

namespace tern::cpu {

void GemmT2S8N16k4_NeonI8mm(const GemmArgs& args) { TernaryGemmI8mm(args); }

}  // namespace tern::cpu
