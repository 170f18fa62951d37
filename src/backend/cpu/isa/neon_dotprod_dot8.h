// Armv8.2 dot product for the int8 head. SDOT: 16 products of s8 by s8 added by fours into 4 int32.
#pragma once

#include "backend/cpu/isa/neon_dot8.h"

namespace tern::cpu {
namespace {

struct NeonDotProdDot8 : NeonDot8 {
  static constexpr int kFewRows = 1, kFewTiles = 4;
  static constexpr int kManyRows = 5, kManyTiles = 1;

  static Sum Mac(Sum sum, Weights w, Inputs x) { return vdotq_s32(sum, w, x); }
};

}  // namespace
}  // namespace tern::cpu
