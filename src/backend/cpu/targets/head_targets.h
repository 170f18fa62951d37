// Entry points of the *_head.cc target files. Declarations only; lists/*.cc name those that a build
// has.
#pragma once

#include "backend/cpu/logits_contract.h"

namespace tern::cpu {

extern const LogitsOps kLogits_Scalar;
extern const LogitsOps kLogits_Avx2;
extern const LogitsOps kLogits_Avx512Vnni;
extern const LogitsOps kLogits_Neon;

void LogitsQ8S8N16k4_Scalar(const Int8LogitsArgs& args);
void LogitsQ8S8N16k4_Avx2(const Int8LogitsArgs& args);
void LogitsQ8S8N16k4_AvxVnni(const Int8LogitsArgs& args);
void LogitsQ8S8N16k4_Avx512Vnni(const Int8LogitsArgs& args);
void LogitsQ8S8N16k4_Amx(const Int8LogitsArgs& args);
void LogitsQ8S8N16k4_Neon(const Int8LogitsArgs& args);
void LogitsQ8S8N16k4_NeonDotProd(const Int8LogitsArgs& args);

}  // namespace tern::cpu
