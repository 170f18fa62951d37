// The table of one instruction set's float operations. Include it only from targets/*.cc.
#pragma once

#include "backend/cpu/kernels/attention.h"
#include "backend/cpu/kernels/float_ops.h"

namespace tern::cpu {
namespace {

constexpr FloatOps kFloatOps = {
    .rms_norm = RmsNorm,
    .quantize = Quantize,
    .gate = GateRow,
    .attend = Attend,
    .round_factors = RoundFactors,
    .narrow = NarrowRow,
    .attend_narrow = AttendNarrow,
    .join_blocks = JoinBlocks,
    .turn_head = TurnHead,
    .dot_rows = DotRows,
    .dot_ternary = DotTernary,
};

}  // namespace
}  // namespace tern::cpu
