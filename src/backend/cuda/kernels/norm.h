// RMSNorm, int8 quantisation and the gate.
#pragma once

#include <cstdint>

#include "backend/cuda/kernels/launch.h"
#include "backend/cuda/kernels/linear.h"

namespace tern::cuda {

/// Rows on their way into a linear layer: RMSNorm (no gain: none), then int8 a group at a time with
/// s = 127 / max(largest, 1e-5), or, when q is null, floats to `values`.
struct NormArgs {
  const float* x = nullptr;  // (rows, x_stride)
  int64_t x_stride = 0;
  int rows = 0;
  int cols = 0;
  const float* gain = nullptr;  // (cols), or null
  float eps = 0;
  int group = 0;            // columns that share a step; divides cols
  int8_t* q = nullptr;      // (rows, out_stride), zero beyond cols
  float* step = nullptr;    // (rows, cols / group)
  int32_t* sums = nullptr;  // (rows, cols / group)
  float* values = nullptr;  // (rows, out_stride), zero beyond cols
  int64_t out_stride = 0;
};
void NormQuantize(const NormArgs& args, const Launch& launch);

/// out[i] = RMSNorm(x[ids[i]]) gain; ids (rows) on the device.
void NormRows(const float* x, int64_t x_stride, const int32_t* ids, int rows, int cols,
              const float* gain, float eps, float* out, int64_t out_stride, const Launch& launch);

/// out = gate(gate_up[.., c]) * gate_up[.., cols + c].
void GatedActivation(const float* gate_up, int64_t stride, int rows, int cols, Gate gate,
                     float* out, int64_t out_stride, const Launch& launch);

/// Most columns of NormLinearFew.
inline constexpr int kNormCols = kFewCols;

/// Rows up to which it is worth it to join norm and layer: each multiprocessor norms them itself.
inline constexpr int kJoinedRows = 4;

/// NormQuantize (one group, cols = args.w.cols, a multiple of 4; rows at 16 bytes) and LinearFew,
/// the same bits; in one kernel where that is faster, as it is for one row: then the quantised rows
/// stay inside, and args.q, step and sums are not used.
void NormLinearFew(const NormArgs& norm, const LinearArgs& args, const Launch& launch);

}  // namespace tern::cuda
