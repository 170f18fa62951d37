// The forms of LinearMany's kernel: which one a shape gets is decided on the host; all give the
// same bits. With a gate, half of w's rows are a multiple of 16.
#pragma once

#include "backend/cuda/kernels/launch.h"
#include "backend/cuda/kernels/linear.h"

namespace tern::cuda {

struct ManyForm {
  int tokens = 128;  // of a tile: 32, 64, 96, 128 or 160
  int blocks = 2;    // of 64 rows of w that a warpgroup holds: 1 or 2; a gate needs 2
  int split = 1;     // blocks of a cluster, at most 8, that share a tile's columns
  /// Space for results on their way to y, in halves of a tile: 1, 2 (when it fits), or 0 when they
  /// are stored from registers, as with split > 1 and less than 96 tokens.
  int slots = 0;
};

/// The form that a model of the GPU's time likes best.
ManyForm ChooseManyForm(const LinearArgs& args, int multiprocessors);

void LinearManyAs(const LinearArgs& args, const ManyForm& form, const Launch& launch);

}  // namespace tern::cuda
