// The output head's kernels of one instruction set; compiled with its flags
// (cmake/cpu_targets.cmake).
#include "backend/cpu/isa/neon_dot8.h"
#include "backend/cpu/isa/neon_lanes.h"
#include "backend/cpu/kernels/logits.h"
#include "backend/cpu/kernels/logits_int8.h"
#include "backend/cpu/targets/head_targets.h"

namespace tern::cpu {

const LogitsOps kLogits_Neon = kLogitsOps<NeonLanes>;

void LogitsQ8S8N16k4_Neon(const Int8LogitsArgs& args) { Int8Logits<NeonDot8>(args); }

}  // namespace tern::cpu
