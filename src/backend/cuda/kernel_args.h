// What the operations of a backend are called with, as the kernels take it.
#pragma once

#include "backend/backend.h"
#include "backend/cuda/kernels/attention.h"
#include "backend/cuda/kernels/linear.h"
#include "backend/cuda/kernels/norm.h"
#include "backend/cuda/weights.h"

namespace tern::cuda {

inline int Int(int64_t n) { return static_cast<int>(n); }

inline NormArgs ToNormArgs(FloatView x, const float* gain, float eps, const LinearInput& out) {
  const bool int8 = out.type == ActivationType::kInt8;
  return {.x = x.data,
          .x_stride = x.stride,
          .rows = Int(x.rows),
          .cols = Int(x.cols),
          .gain = gain,
          .eps = eps,
          .group = Int(out.group),
          .q = int8 ? out.q : nullptr,
          .step = out.step,
          .sums = out.sums,
          .values = out.values,
          .out_stride = out.stride};
}

inline RopeArgs ToRopeArgs(FloatView qkv, const RopeOptions& rope) {
  return {.qkv = qkv.data,
          .stride = qkv.stride,
          .rows = Int(qkv.rows),
          .interleaved = rope.style == RopeStyle::kInterleaved,
          .dims = Int(rope.dims),
          .cos_sin = rope.cos_sin,
          .q_norm = rope.q_norm,
          .k_norm = rope.k_norm,
          .eps = rope.eps};
}

inline KvArgs ToKvArgs(const KvLayer& kv, const HeadShape& shape) {
  return {kv.type, kv.k, kv.v, Int(shape.heads), Int(shape.kv_heads), Int(shape.head_dim)};
}

inline Gate ToGate(GateFunction function) {
  return function == GateFunction::kReluSquared ? Gate::kReluSquared : Gate::kSilu;
}

inline LinearArgs ToLinearArgs(const LinearInput& x, const CudaTernary& w, FloatView y,
                               Epilogue epilogue) {
  return {.q = x.q,
          .q_stride = x.stride,
          .step = x.step,
          .sums = x.sums,
          .m = Int(x.rows),
          .w = w.matrix(),
          .scale = w.scales(),
          .group = Int(w.group()),
          .y = y.data,
          .y_stride = y.stride,
          .add = epilogue == Epilogue::kAdd};
}

}  // namespace tern::cuda
