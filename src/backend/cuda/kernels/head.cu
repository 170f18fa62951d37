#include <algorithm>

#include "backend/cuda/kernels/head.cuh"
#include "backend/cuda/kernels/head.h"

namespace tern::cuda {
namespace {

constexpr int kPrepareThreads = 256;

/// The largest of the threads' numbers, in every thread.
__device__ float BlockMax(float value) {
  __shared__ float parts[kPrepareThreads / 32];
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2)
    value = fmaxf(value, __shfl_xor_sync(~0u, value, offset));
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
  __syncthreads();
  for (const float part : parts) value = fmaxf(value, part);
  return value;
}

/// 2^exponent, a normal number.
__device__ float PowerOfTwo(int exponent) { return __int_as_float((exponent + 127) << 23); }

/// base/../reference_math.cc, QuantizeGroup. NaN becomes -128, as it does there.
__device__ uint32_t QuantizedByte(float x, float s) {
  const float rounded = rintf(x * s);
  const float kept = rounded >= -128.0f ? fminf(rounded, 127.0f) : -128.0f;
  return static_cast<uint32_t>(static_cast<int>(kept)) & 0xff;
}

template <TileType type>
__device__ uint32_t Half(float x) {
  if constexpr (type == TileType::kF16)
    return __half_as_ushort(__float2half_rn(x));
  else
    return __bfloat16_as_ushort(__float2bfloat16_rn(x));
}

template <TileType type>
__device__ float FromHalf(uint32_t bits) {
  if constexpr (type == TileType::kF16)
    return __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
  else
    return __bfloat162float(__ushort_as_bfloat16(static_cast<unsigned short>(bits)));
}

/// One CTA for each row of the units; rows beyond m are zero. kF16: the row is multiplied by the
/// power of two that takes its largest element to 2^14..2^15, so that no size of x over- or
/// underflows.
template <TileType type>
__global__ void __launch_bounds__(kPrepareThreads)
    PrepareKernel(const float* x, int64_t x_stride, int m, int cols, HeadLayout shape, uint4* units,
                  float* x_steps) {
  const int r = static_cast<int>(blockIdx.x);
  const int thread = static_cast<int>(threadIdx.x);
  ReleaseSuccessor();
  WaitForPredecessor();
  const float* row = x + r * x_stride;
  const int valid_cols = r < m ? cols : 0;
  float scale = 1;
  float step = 1;
  if constexpr (type != TileType::kBf16) {
    float largest = 0;
    for (int c = thread; c < valid_cols; c += kPrepareThreads)
      largest = fmaxf(largest, fabsf(row[c]));  // never NaN
    largest = BlockMax(largest);
    if constexpr (type == TileType::kInt8) {
      scale = __fdiv_rn(127.0f, fmaxf(largest, 1e-5f));
      step = __fdiv_rn(1.0f, scale);
    } else {
      const int exponent = static_cast<int>(__float_as_uint(largest) >> 23) - 127;
      const int shift = min(14 - exponent, 126);
      scale = PowerOfTwo(shift);
      step = PowerOfTwo(-shift);
    }
  }
  if (thread == 0) x_steps[r] = step;

  const int block = r / 8;
  uint4* group = units + (static_cast<int64_t>(block / shape.blocks) * shape.steps * shape.blocks +
                          block % shape.blocks) *
                             32;
  const auto value = [&](int c) { return c < valid_cols ? row[c] : 0.0f; };
  if constexpr (type == TileType::kInt8) {
    for (int i = thread; i < shape.steps * 4; i += kPrepareThreads) {  // 16 columns each
      Tile q;
#pragma unroll
      for (int w = 0; w < 4; ++w) {
        q.words[w] = 0;
#pragma unroll
        for (int b = 0; b < 4; ++b) {
          const int c = i * 16 + w * 4 + b;
          if (c < valid_cols) q.words[w] |= QuantizedByte(row[c], scale) << (8 * b);
        }
      }
      group[static_cast<int64_t>(i / 4) * shape.blocks * 32 + i % 4 * 8 + r % 8] = q.vector;
    }
  } else {
    for (int i = thread; i < shape.steps * 2; i += kPrepareThreads) {  // 8 columns each
      Tile high;
      Tile low;
#pragma unroll
      for (int w = 0; w < 4; ++w) {
        high.words[w] = 0;
        low.words[w] = 0;
#pragma unroll
        for (int b = 0; b < 2; ++b) {
          const float scaled = value(i * 8 + w * 2 + b) * scale;
          const uint32_t h = Half<type>(scaled);
          high.words[w] |= h << (16 * b);
          low.words[w] |= Half<type>(scaled - FromHalf<type>(h)) << (16 * b);
        }
      }
      uint4* to = group + static_cast<int64_t>(i / 2) * shape.blocks * 32 + i % 2 * 8 + r % 8;
      to[0] = high.vector;
      to[16] = low.vector;
    }
  }
}

constexpr int kFloatWarps = 8;
constexpr int kFloatRows = 4;  // of x, at a time

/// A warp for each row of the table. A lane sums every 32nd product, then lanes are added in a
/// tree: the same order for every m.
__global__ void __launch_bounds__(kFloatWarps * 32)
    FloatKernel(const HeadArgs args, int rows, int cols) {
  ReleaseSuccessor();
  WaitForPredecessor();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int n = static_cast<int>(blockIdx.x) * kFloatWarps + static_cast<int>(threadIdx.x) / 32;
  if (n >= rows) return;
  const float* weights = args.table.floats + static_cast<int64_t>(n) * cols;
  for (int first = 0; first < args.m; first += kFloatRows) {
    float sums[kFloatRows] = {};
    for (int c = lane; c < cols; c += 32) {
      const float w = weights[c];
#pragma unroll
      for (int i = 0; i < kFloatRows; ++i)
        if (first + i < args.m) sums[i] = fmaf(args.x[(first + i) * args.x_stride + c], w, sums[i]);
    }
#pragma unroll
    for (int i = 0; i < kFloatRows; ++i) {
#pragma unroll
      for (int offset = 16; offset > 0; offset /= 2)
        sums[i] += __shfl_xor_sync(~0u, sums[i], offset);
      if (lane == 0 && first + i < args.m)
        args.logits[(first + i) * args.logits_stride + n] = sums[i];
    }
  }
}

template <TileType type>
void Prepare(const HeadArgs& args, const HeadLayout& shape, uint4* units, float* x_steps,
             const Launch& launch) {
  Start(launch, &PrepareKernel<type>, shape.padded_rows(), kPrepareThreads, 0, args.x,
        args.x_stride, args.m, args.table.matrix.cols, shape, units, x_steps);
}

}  // namespace

size_t HeadScratchBytes(int m, int cols) {
  // 64 bytes for each row and step, the most steps with kF16, the most rows with one of these two.
  const int k_tiles = TiledShape(TileType::kF16, kTileRows, cols).k_tiles;
  const auto bytes = [](const HeadLayout& shape) {
    return shape.unit_bytes() + static_cast<size_t>(shape.padded_rows()) * sizeof(float);
  };
  return std::max(bytes(HeadTiledLayout(TileType::kF16, m, k_tiles)),
                  bytes(HeadWgmmaLayout(TileType::kF16, m, k_tiles)));
}

bool CanUse(HeadKernel kernel, TileType type, int m, int k_tiles, const Launch& launch) {
  switch (kernel) {
    case HeadKernel::kStream:
      return HeadStreamLayout(type, m, k_tiles).blocks != 0;
    case HeadKernel::kWgmma:
      return launch.compute == 90;
    case HeadKernel::kTiled:
      return true;
  }
  return false;
}

void LogitsWith(HeadKernel kernel, const HeadArgs& args, const Launch& launch) {
  const TiledMatrix& matrix = args.table.matrix;
  HeadParams params;
  params.shape =
      kernel == HeadKernel::kStream  ? HeadStreamLayout(matrix.type, args.m, matrix.k_tiles)
      : kernel == HeadKernel::kWgmma ? HeadWgmmaLayout(matrix.type, args.m, matrix.k_tiles)
                                     : HeadTiledLayout(matrix.type, args.m, matrix.k_tiles);
  auto* units = static_cast<uint4*>(args.scratch);
  auto* x_steps =
      reinterpret_cast<float*>(static_cast<std::byte*>(args.scratch) + params.shape.unit_bytes());
  switch (matrix.type) {
    case TileType::kF16:
      Prepare<TileType::kF16>(args, params.shape, units, x_steps, launch);
      break;
    case TileType::kBf16:
      Prepare<TileType::kBf16>(args, params.shape, units, x_steps, launch);
      break;
    case TileType::kInt8:
      Prepare<TileType::kInt8>(args, params.shape, units, x_steps, launch);
      break;
    case TileType::kTernary:
      return;
  }
  params.tiles = static_cast<const uint4*>(matrix.tiles);
  params.row_steps = args.table.steps;
  params.units = units;
  params.x_steps = x_steps;
  params.logits = args.logits;
  params.logits_stride = args.logits_stride;
  params.m = args.m;
  params.rows = matrix.rows;
  params.k_tiles = matrix.k_tiles;
  switch (kernel) {
    case HeadKernel::kStream:
      return StartHeadStream(matrix.type, params, launch);
    case HeadKernel::kWgmma:
      return StartHeadWgmma(matrix.type, params, launch);
    case HeadKernel::kTiled:
      return StartHeadTiled(matrix.type, params, launch);
  }
}

void Logits(const HeadArgs& args, const Launch& launch) {
  const TiledMatrix& matrix = args.table.matrix;
  if (args.m <= 0 || matrix.rows <= 0) return;
  if (matrix.tiles == nullptr)
    return Start(launch, &FloatKernel, (matrix.rows + kFloatWarps - 1) / kFloatWarps,
                 kFloatWarps * 32, 0, args, matrix.rows, matrix.cols);
  const auto can_use = [&](HeadKernel kernel) {
    return CanUse(kernel, matrix.type, args.m, matrix.k_tiles, launch);
  };
  // Up to here kTiled is as fast as kWgmma, or faster (measured on an H200).
  const int few_rows = matrix.type == TileType::kInt8 ? 96 : 64;
  if (can_use(HeadKernel::kStream))
    LogitsWith(HeadKernel::kStream, args, launch);
  else if (args.m > few_rows && can_use(HeadKernel::kWgmma))
    LogitsWith(HeadKernel::kWgmma, args, launch);
  else
    LogitsWith(HeadKernel::kTiled, args, launch);
}

}  // namespace tern::cuda
