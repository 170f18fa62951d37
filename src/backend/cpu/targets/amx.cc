// The kernels of one instruction set; compiled with its flags (cmake/cpu_targets.cmake).
#include "backend/cpu/kernels/attention_amx.h"
#include "backend/cpu/kernels/float_table.h"
#include "backend/cpu/kernels/logits_amx.h"
#include "backend/cpu/kernels/ternary_amx.h"
#include "backend/cpu/targets/head_targets.h"
#include "backend/cpu/targets/targets.h"

namespace tern::cpu {

void GemmT2S8N16k4_Amx(const GemmArgs& args) { TernaryGemmAmx(args); }

void LogitsQ8S8N16k4_Amx(const Int8LogitsArgs& args) { Int8LogitsAmx(args); }

const FloatOps* FloatOps_Amx() {
  static constexpr FloatOps kWithTiles = [] {
    FloatOps ops = kFloatOps;
    ops.attend_narrow = AttendNarrowAmx;
    return ops;
  }();
  return &kWithTiles;
}

}  // namespace tern::cpu
