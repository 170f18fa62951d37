// Armv8.2 dot product. SDOT: 16 products of s8 by s8 added by fours into 4 int32.
#pragma once

#include "backend/cpu/isa/neon.h"

namespace tern::cpu {
namespace {

struct NeonDotProd : Neon {
  static constexpr int Sets(int rows) { return rows <= 2 ? 2 : 1; }

  static Partial Mac(Partial sum, Vec code, Vec act) { return vdotq_s32(sum, code, act); }
};

}  // namespace
}  // namespace tern::cpu
