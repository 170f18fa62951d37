// The int8 head's kernel of one instruction set; compiled with its flags (cmake/cpu_targets.cmake).
#include "backend/cpu/isa/avxvnni_dot8.h"
#include "backend/cpu/kernels/logits_int8.h"
#include "backend/cpu/targets/head_targets.h"

namespace tern::cpu {

void LogitsQ8S8N16k4_AvxVnni(const Int8LogitsArgs& args) { Int8Logits<AvxVnniDot8>(args); }

}  // namespace tern::cpu
