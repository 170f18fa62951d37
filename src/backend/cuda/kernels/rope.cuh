// A warp norms, turns and stores a head: the same operations wherever that happens, so that a row's
// bits don't depend on the kernel.
#pragma once

#include "backend/cuda/kernels/attention.h"
#include "backend/cuda/kernels/ptx.cuh"

namespace tern::cuda {

/// x as numbers that are multiplied in 16 bits have to be (base/bf16.h, base/float16.h).
__device__ __forceinline__ float BoundHalf(float x) {
  return x == x ? fminf(fmaxf(x, -65504.0f), 65504.0f) : 0.0f;
}
__device__ __forceinline__ float BoundBf16(float x) {
  return fabsf(x) >= 0x1p-30f ? fminf(fmaxf(x, -0x1p60f), 0x1p60f) : 0.0f;
}

/// Arithmetic on elements of type E: bits of a bounded number, and what mma takes. int8 elements
/// are multiplied as halves.
template <class E>
struct Operand {
  static constexpr uint32_t kOnes = 0x3c003c00u;
  static __device__ __forceinline__ uint16_t Bits(float x) {
    return __half_as_ushort(__float2half_rn(BoundHalf(x)));
  }
  /// Two numbers that are in bounds, the first in the low half.
  static __device__ __forceinline__ uint32_t Pack(float x, float y) {
    const __half2 pair = __floats2half2_rn(x, y);
    return reinterpret_cast<const uint32_t&>(pair);
  }
  static __device__ __forceinline__ void Mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                             uint32_t b1) {
    MmaF16(d, a, b0, b1);
  }
};
template <>
struct Operand<__nv_bfloat16> {
  static constexpr uint32_t kOnes = 0x3f803f80u;
  static __device__ __forceinline__ uint16_t Bits(float x) {
    return __bfloat16_as_ushort(__float2bfloat16_rn(BoundBf16(x)));
  }
  static __device__ __forceinline__ uint32_t Pack(float x, float y) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(x, y);
    return reinterpret_cast<const uint32_t&>(pair);
  }
  static __device__ __forceinline__ void Mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                             uint32_t b1) {
    MmaBf16(d, a, b0, b1);
  }
};

/// A lane's elements of a head: pairs lane, lane + 32, .. of head_dim / 2.
template <int kSlots>
struct HeadPart {
  float x[kSlots], y[kSlots];
};

/// Where the elements of pair i stand: those that RoPE turns together, then neighbours.
struct Pair {
  int a, b;
};
__device__ __forceinline__ Pair PairAt(int i, int turned, bool interleaved) {
  if (i < turned / 2 && !interleaved) return {i, i + turned / 2};
  return {2 * i, 2 * i + 1};
}

template <int kSlots>
__device__ __forceinline__ HeadPart<kSlots> LoadHead(const float* head, int head_dim, int turned,
                                                     bool interleaved) {
  HeadPart<kSlots> part;
#pragma unroll
  for (int s = 0; s < kSlots; ++s) {
    const int i = static_cast<int>(threadIdx.x % 32) + 32 * s;
    const Pair at = PairAt(i, turned, interleaved);
    part.x[s] = 2 * i < head_dim ? head[at.a] : 0.0f;
    part.y[s] = 2 * i < head_dim ? head[at.b] : 0.0f;
  }
  return part;
}

/// A lane's cosines and sines of a position, the same for every head.
template <int kSlots>
struct Turn {
  float cosine[kSlots], sine[kSlots];
};
template <int kSlots>
__device__ __forceinline__ Turn<kSlots> LoadTurn(const RopeArgs& rope, int position) {
  const float* from = rope.cos_sin + static_cast<int64_t>(position) * rope.dims;
  Turn<kSlots> turn;
#pragma unroll
  for (int s = 0; s < kSlots; ++s) {
    const int i = static_cast<int>(threadIdx.x % 32) + 32 * s;
    const bool turned = i < rope.dims / 2;
    turn.cosine[s] = turned ? from[i] : 1.0f;
    turn.sine[s] = turned ? from[rope.dims / 2 + i] : 0.0f;
  }
  return turn;
}

/// RMSNorm with gain, or none when it is null, then RoPE.
template <int kSlots>
__device__ __forceinline__ void NormTurn(HeadPart<kSlots>& part, const RopeArgs& rope,
                                         const float* gain, const Turn<kSlots>& turn,
                                         int head_dim) {
  const int lane = threadIdx.x % 32;
  if (gain != nullptr) {
    float sum = 0;
#pragma unroll
    for (int s = 0; s < kSlots; ++s) sum += part.x[s] * part.x[s] + part.y[s] * part.y[s];
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
    const float inverse = 1.0f / sqrtf(sum / static_cast<float>(head_dim) + rope.eps);
#pragma unroll
    for (int s = 0; s < kSlots; ++s) {
      const int i = lane + 32 * s;
      if (2 * i >= head_dim) continue;
      const Pair at = PairAt(i, rope.dims, rope.interleaved);
      part.x[s] = part.x[s] * inverse * gain[at.a];
      part.y[s] = part.y[s] * inverse * gain[at.b];
    }
  }
#pragma unroll
  for (int s = 0; s < kSlots; ++s) {
    const int i = lane + 32 * s;
    if (i >= rope.dims / 2) continue;
    const float x = part.x[s], y = part.y[s], c = turn.cosine[s], sine = turn.sine[s];
    part.x[s] = x * c - y * sine;
    part.y[s] = y * c + x * sine;
  }
}

/// Codes of a head are x * scale, rounded half to even, within a byte; -128 for NaN. Larger numbers
/// than kMostQuantized count as that, so that every code times its step is a finite half.
inline constexpr float kMostQuantized = 65000.0f;
template <int kSlots>
__device__ __forceinline__ float CodeScale(const HeadPart<kSlots>& part) {
  float largest = 0;
#pragma unroll
  for (int s = 0; s < kSlots; ++s)
    largest = fmaxf(fmaxf(largest, fabsf(part.x[s])), fabsf(part.y[s]));
  for (int step = 16; step > 0; step /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, step));
  return 127.0f / fminf(fmaxf(largest, 1e-5f), kMostQuantized);
}
__device__ __forceinline__ float Code(float x, float scale) {
  return fminf(fmaxf(rintf(x * scale), -128.0f), 127.0f);
}

/// Writes a head as position `at` of a piece; place(element, x, step) gets what was stored: x, or a
/// code and its step.
template <class E, int kSlots, class Place>
__device__ __forceinline__ void StoreHead(const HeadPart<kSlots>& part, int head_dim, int turned,
                                          bool interleaved, void* piece, int at, bool write,
                                          Place place) {
  const auto each = [&](auto store) {
#pragma unroll
    for (int s = 0; s < kSlots; ++s) {
      const int i = static_cast<int>(threadIdx.x % 32) + 32 * s;
      if (2 * i >= head_dim) continue;
      const Pair pair = PairAt(i, turned, interleaved);
      store(pair.a, part.x[s]);
      store(pair.b, part.y[s]);
    }
  };
  if constexpr (sizeof(E) == 4) {
    each([&](int d, float x) { static_cast<float*>(piece)[at * head_dim + d] = x; });
  } else if constexpr (sizeof(E) == 2) {
    each([&](int d, float x) {
      if (write) static_cast<uint16_t*>(piece)[at * head_dim + d] = Operand<E>::Bits(x);
      place(d, x, 1.0f);
    });
  } else {
    const float scale = CodeScale(part);
    const float step = 1.0f / scale;
    int8_t* codes = static_cast<int8_t*>(piece);
    each([&](int d, float x) {
      const float code = Code(x, scale);
      if (write) codes[at * head_dim + d] = static_cast<int8_t>(code);
      place(d, code, step);
    });
    if (write && threadIdx.x % 32 == 0)
      reinterpret_cast<float*>(codes + kBlockPositions * head_dim)[at] = step;
  }
}

/// A piece of a kv head in a block.
__device__ __forceinline__ char* PieceAt(void* pieces, const KvArgs& kv, int block, int kv_head) {
  return static_cast<char*>(pieces) + (static_cast<int64_t>(block) * kv.kv_heads + kv_head) *
                                          static_cast<int64_t>(PieceBytes(kv.type, kv.head_dim));
}

}  // namespace tern::cuda
