// Inline PTX of the head's kernel for Hopper (sm_90a), beside ptx_hopper.cuh.
#pragma once

#include "backend/cuda/kernels/ptx_hopper.cuh"

#ifdef TERN_HOPPER
namespace tern::cuda {

/// Bytes, a multiple of 16, to the same place in each block of the cluster that `mask` names, and
/// told to the barrier there.
__device__ __forceinline__ void CopyBytesToAll(uint32_t shared, const void* global, int bytes,
                                               uint32_t barrier, uint16_t mask) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
      "[%0], [%1], %2, [%3], %4;" ::"r"(shared),
      "l"(global), "r"(bytes), "r"(barrier), "h"(mask)
      : "memory");
}

/// Half of each of the units from this address on (head.cuh): matrices of 8 rows of 16 bytes, the
/// second half of the columns 128 bytes behind the first, the next 8 rows 512 bytes further.
__device__ __forceinline__ uint64_t HalfUnits(uint32_t shared) {
  return uint64_t{512 / 16} << 32 | uint64_t{128 / 16} << 16 | (shared & 0x3ffff) >> 4;
}

#define TERN_R0 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
#define TERN_R16 TERN_R0 ",%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define TERN_R32 TERN_R16 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47"
#define TERN_R48 TERN_R32 ",%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define TERN_R64 TERN_R48 ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79"
#define TERN_R80 TERN_R64 ",%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"
#define TERN_R96 \
  TERN_R80 ",%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111"
#define TERN_R112 \
  TERN_R96 ",%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define TERN_D1(c, j) c(d[j][0]), c(d[j][1]), c(d[j][2]), c(d[j][3])
#define TERN_D4(c, j) TERN_D1(c, j), TERN_D1(c, j + 1), TERN_D1(c, j + 2), TERN_D1(c, j + 3)
#define TERN_D8(c, j) TERN_D4(c, j), TERN_D4(c, j + 4)
#define TERN_D16(c, j) TERN_D8(c, j), TERN_D8(c, j + 8)

/// d += a b of a warpgroup, 64 rows and n = 8 * blocks columns: warp w of the four holds rows
/// 16 w.., a and d[j] as in MmaF16 and MmaS8S8, b as HalfUnits.
#define TERN_WGMMA(name, type, n, shape, tail, registers, a_list, b, ...)                          \
  __device__ __forceinline__ void name(type(&d)[n / 8][4], const uint32_t(&a)[4], uint64_t rows) { \
    asm volatile("wgmma.mma_async.sync.aligned.m64n" #n shape " {" registers "}, {" a_list "}, " b \
                 ", 1" tail ";"                                                                    \
                 : __VA_ARGS__                                                                     \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(rows)                           \
                 : "memory");                                                                      \
  }
#define TERN_WGMMA_SIZES(name, type, c, shape, tail)                                            \
  TERN_WGMMA(name, type, 64, shape, tail, TERN_R16, "%32,%33,%34,%35", "%36", TERN_D8(c, 0))    \
  TERN_WGMMA(name, type, 128, shape, tail, TERN_R48, "%64,%65,%66,%67", "%68", TERN_D16(c, 0))  \
  TERN_WGMMA(name, type, 192, shape, tail, TERN_R80, "%96,%97,%98,%99", "%100", TERN_D16(c, 0), \
             TERN_D8(c, 16))                                                                    \
  TERN_WGMMA(name, type, 256, shape, tail, TERN_R112, "%128,%129,%130,%131", "%132",            \
             TERN_D16(c, 0), TERN_D16(c, 16))

TERN_WGMMA_SIZES(MultiplyAsyncF16, float, "+f", "k16.f32.f16.f16", ", 1, 1, 0")
TERN_WGMMA_SIZES(MultiplyAsyncBf16, float, "+f", "k16.f32.bf16.bf16", ", 1, 1, 0")
TERN_WGMMA_SIZES(MultiplyAsyncS8, int, "+r", "k32.s32.s8.s8", "")

#undef TERN_WGMMA_SIZES
#undef TERN_WGMMA
#undef TERN_D16
#undef TERN_D8
#undef TERN_D4
#undef TERN_D1
#undef TERN_R112
#undef TERN_R96
#undef TERN_R80
#undef TERN_R64
#undef TERN_R48
#undef TERN_R32
#undef TERN_R16
#undef TERN_R0

}  // namespace tern::cuda
#endif  // TERN_HOPPER
