// Lossless changes of how a ternary matrix keeps its scales.
#pragma once

#include <span>

#include "tensor/ternary_matrix.h"

namespace tern {

/// The same values with as few scales as they allow: neighbouring groups with equal scales merge,
/// up to one scale a row and one a tensor. Groups without a non-zero value fit any scale. So a
/// TQ2_0 file whose blocks all carry one scale runs on the per-tensor integer path that the model
/// was trained with.
TernaryMatrix SimplifyScales(TernaryMatrix matrix);

/// Matrices with equal cols stacked on top of each other (q, k, v; gate, up). Each part keeps its
/// own scales: the result has one scale a row or, if any part is grouped, groups of the finest
/// part.
TernaryMatrix StackRows(std::span<const TernaryMatrix> parts);

}  // namespace tern
