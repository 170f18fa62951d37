// The output head's kernels of one instruction set; compiled with its flags
// (cmake/cpu_targets.cmake).
#include "backend/cpu/isa/avx512_lanes.h"
#include "backend/cpu/isa/avx512vnni_dot8.h"
#include "backend/cpu/kernels/logits.h"
#include "backend/cpu/kernels/logits_int8.h"
#include "backend/cpu/targets/head_targets.h"

namespace tern::cpu {

const LogitsOps kLogits_Avx512Vnni = kLogitsOps<Avx512Lanes>;

void LogitsQ8S8N16k4_Avx512Vnni(const Int8LogitsArgs& args) { Int8Logits<Avx512VnniDot8>(args); }

}  // namespace tern::cpu
