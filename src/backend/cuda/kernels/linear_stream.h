// Few rows by warps that stream weights through their registers (linear_stream.cu).
#pragma once

#include "backend/cuda/kernels/launch.h"
#include "backend/cuda/kernels/linear.h"
#include "backend/cuda/kernels/norm.h"

namespace tern::cuda {

/// Most rows of StreamLinear.
inline constexpr int kStreamRows = 16;

/// LinearFew; false when a shape doesn't fit: then nothing was launched.
bool StreamLinear(const LinearArgs& args, const Launch& launch);
/// NormLinearFew of args.m rows, likewise.
bool StreamNormLinear(const NormArgs& norm, const LinearArgs& args, const Launch& launch);

}  // namespace tern::cuda
