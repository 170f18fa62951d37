// The output head's kernels of one instruction set; compiled with its flags
// (cmake/cpu_targets.cmake).
#include "backend/cpu/isa/scalar_dot8.h"
#include "backend/cpu/isa/scalar_lanes.h"
#include "backend/cpu/kernels/logits.h"
#include "backend/cpu/kernels/logits_int8.h"
#include "backend/cpu/targets/head_targets.h"

namespace tern::cpu {

const LogitsOps kLogits_Scalar = kLogitsOps<ScalarLanes>;

void LogitsQ8S8N16k4_Scalar(const Int8LogitsArgs& args) { Int8Logits<ScalarDot8>(args); }

}  // namespace tern::cpu
