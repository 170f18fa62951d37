// Entry points of the target files. Declarations only; kernel_list_*.cc names those that a build
// has.
#pragma once

#include "backend/cpu/float_contract.h"
#include "backend/cpu/kernel_contract.h"

namespace tern::cpu {

void GemmT2S8N16k4_Scalar(const GemmArgs& args);
void GemmT2S8N16k4_Avx2(const GemmArgs& args);
void GemmT2S8N16k4_AvxVnni(const GemmArgs& args);
void GemmT2S8N16k4_Avx512Vnni(const GemmArgs& args);
void GemmT2S8N16k4_Amx(const GemmArgs& args);
void GemmT2S8N16k4_Neon(const GemmArgs& args);
void GemmT2S8N16k4_NeonI8mm(const GemmArgs& args);
void GemmT2S8N16k4_NeonDotProd(const GemmArgs& args);

const FloatOps* FloatOps_Scalar();
const FloatOps* FloatOps_Avx2();
const FloatOps* FloatOps_Avx512Vnni();
const FloatOps* FloatOps_Amx();
const FloatOps* FloatOps_Neon();

}  // namespace tern::cpu
