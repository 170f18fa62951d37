// The 16 lanes of a float reduction (base/math.h) as native vectors of one width: what the bodies
// of the float kernels need besides conversions, written once. Native widths only: GCC keeps wider
// vectors in memory.
#pragma once

#include <stdint.h>

namespace tern::cpu {
namespace {

#define TERN_INLINE [[gnu::always_inline]] inline

constexpr int64_t kLanes = 16;

// Native vectors by their size: floats, and bytes taken as 64-bit words (of 32 bytes at most: the
// runs of equal shifts in block formats; WideWords is for AVX-512 where there are longer ones). GCC
// 12 ignores vector_size with a template's parameter.
template <int kBytes>
struct Native;
template <>
struct Native<16> {
  using Vec = float __attribute__((vector_size(16)));
  using VecAt = float __attribute__((vector_size(16), aligned(4), may_alias));
  using Words = uint64_t __attribute__((vector_size(16)));
  using WordsAt = uint64_t __attribute__((vector_size(16), aligned(1), may_alias));
  using Bytes = int8_t __attribute__((vector_size(16)));
};
template <>
struct Native<32> {
  using Vec = float __attribute__((vector_size(32)));
  using VecAt = float __attribute__((vector_size(32), aligned(4), may_alias));
  using Words = uint64_t __attribute__((vector_size(32)));
  using WordsAt = uint64_t __attribute__((vector_size(32), aligned(1), may_alias));
  using Bytes = int8_t __attribute__((vector_size(32)));
};
struct WideWords {
  using Words = uint64_t __attribute__((vector_size(64)));
  using WordsAt = uint64_t __attribute__((vector_size(64), aligned(1), may_alias));
  using Bytes = int8_t __attribute__((vector_size(64)));
};
template <>
struct Native<64> : Native<32> {
  using Vec = float __attribute__((vector_size(64)));
  using VecAt = float __attribute__((vector_size(64), aligned(4), may_alias));
};

/// kBytes: of a native vector.
template <int kBytes>
struct LaneMath : Native<kBytes> {
  static constexpr int kVecs = 64 / kBytes;
  using Vec = typename Native<kBytes>::Vec;
  using VecAt = typename Native<kBytes>::VecAt;
  struct Lanes {
    Vec v[kVecs];
  };

  TERN_INLINE static Lanes Zero() { return {}; }
  TERN_INLINE static Lanes Load(const float* p) {
    Lanes r;
#pragma GCC unroll 4
    for (int i = 0; i < kVecs; ++i)
      r.v[i] = *reinterpret_cast<const VecAt*>(p + i * (kLanes / kVecs));
    return r;
  }
  TERN_INLINE static void Store(float* p, Lanes a) {
#pragma GCC unroll 4
    for (int i = 0; i < kVecs; ++i) *reinterpret_cast<VecAt*>(p + i * (kLanes / kVecs)) = a.v[i];
  }
  TERN_INLINE static Lanes Times(Lanes a, float b) {
#pragma GCC unroll 4
    for (int i = 0; i < kVecs; ++i) a.v[i] = a.v[i] * b;
    return a;
  }
  TERN_INLINE static Lanes Minus(Lanes a, float b) {
#pragma GCC unroll 4
    for (int i = 0; i < kVecs; ++i) a.v[i] = a.v[i] - b;
    return a;
  }
  TERN_INLINE static Lanes Multiply(Lanes a, Lanes b) {
#pragma GCC unroll 4
    for (int i = 0; i < kVecs; ++i) a.v[i] *= b.v[i];
    return a;
  }
  // sum + a * b, rounded twice.
  TERN_INLINE static Lanes AddProduct(Lanes sum, Lanes a, Lanes b) {
#pragma GCC unroll 4
    for (int i = 0; i < kVecs; ++i) sum.v[i] += a.v[i] * b.v[i];
    return sum;
  }
  // Lanes i and i + 8 first, then + 4, + 2, + 1.
  TERN_INLINE static float Reduce(Lanes a) {
    if constexpr (kVecs == 4) {
      const Vec v = (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]);
      const Vec w = v + __builtin_shufflevector(v, v, 2, 3, 2, 3);
      return w[0] + w[1];
    } else if constexpr (kVecs == 2) {
      Vec v = a.v[0] + a.v[1];
      v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 4, 5, 6, 7);
      v += __builtin_shufflevector(v, v, 2, 3, 2, 3, 2, 3, 2, 3);
      return v[0] + v[1];
    } else {
      Vec v = a.v[0];
      v +=
          __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
      v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
      v += __builtin_shufflevector(v, v, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3);
      return v[0] + v[1];
    }
  }
};

}  // namespace
}  // namespace tern::cpu
