// Inline PTX that only Hopper has (sm_90a): barriers in shared memory, copies of boxes of a tensor
// (TMA), clusters, and products of a warpgroup (wgmma). PTX ISA, "mbarrier",
// "cp.async.bulk.tensor", "wgmma.mma_async".
#pragma once

#include <cuda.h>

#include <cstdint>

#include "backend/cuda/kernels/ptx.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define TERN_HOPPER 1
#endif

#ifdef TERN_HOPPER
namespace tern::cuda {

// ---- Barriers. A phase ends when `count` have arrived and all announced bytes have come.

__device__ __forceinline__ void InitBarrier(uint64_t* barrier, int count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(SharedAddress(barrier)), "r"(count)
               : "memory");
}

/// Makes initialised barriers known to the cluster and to the copies.
__device__ __forceinline__ void FenceBarrierInit() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

/// When `condition` holds; without a branch, which between products would make ptxas wait for them.
__device__ __forceinline__ void ArriveIf(bool condition, uint64_t* barrier) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %1, 0;\n"
      "@p mbarrier.arrive.shared::cta.b64 _, [%0];\n}" ::"r"(SharedAddress(barrier)),
      "r"(static_cast<int>(condition))
      : "memory");
}

/// The same at a barrier of any block of the cluster, `address` from ClusterAddress.
__device__ __forceinline__ void ArriveRemoteIf(bool condition, uint32_t address) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %1, 0;\n"
      "@p mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];\n}" ::"r"(address),
      "r"(static_cast<int>(condition))
      : "memory");
}

/// Arrives and announces bytes that copies will bring.
__device__ __forceinline__ void ArriveExpecting(uint64_t* barrier, int bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(SharedAddress(barrier)),
      "r"(bytes)
      : "memory");
}

/// Until the phase of this parity has ended.
__device__ __forceinline__ void WaitPhase(uint64_t* barrier, uint32_t parity) {
  asm volatile(
      "{\n.reg .pred done;\nagain:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n}" ::"r"(SharedAddress(barrier)),
      "r"(parity)
      : "memory");
}
/// The same, and what other blocks of the cluster stored before is seen.
__device__ __forceinline__ void WaitPhaseOfCluster(uint64_t* barrier, uint32_t parity) {
  asm volatile(
      "{\n.reg .pred done;\nagain:\n"
      "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n}" ::"r"(SharedAddress(barrier)),
      "r"(parity)
      : "memory");
}

/// A barrier of the hardware for `threads` threads; its numbers are the kernel's to share out, 0 is
/// __syncthreads.
__device__ __forceinline__ void SyncNamed(int number, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory");
}
__device__ __forceinline__ void ArriveNamed(int number, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(number), "r"(threads) : "memory");
}

// ---- Clusters

__device__ __forceinline__ uint32_t ClusterAddress(uint32_t shared, int rank) {
  uint32_t address;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(shared), "r"(rank));
  return address;
}

/// All threads of the cluster; what was written before is seen behind the wait.
__device__ __forceinline__ void ArriveCluster() {
  asm volatile("barrier.cluster.arrive.release;" ::: "memory");
}
__device__ __forceinline__ void WaitCluster() {
  asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
}

/// 16 bytes to another block of the cluster, which are told to a barrier there.
__device__ __forceinline__ void StoreRemote(uint32_t address, uint32_t barrier, int a, int b, int c,
                                            int d) {
  asm volatile(
      "st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.s32 [%0], {%1,%2,%3,%4}, [%5];" ::
          "r"(address),
      "r"(a), "r"(b), "r"(c), "r"(d), "r"(barrier)
      : "memory");
}

// ---- Boxes of a tensor from global to shared memory; elements beyond its borders are zero.

__device__ __forceinline__ void PrefetchMap(const CUtensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

__device__ __forceinline__ void CopyBox(void* shared, const CUtensorMap* map, uint64_t* barrier,
                                        int x, int y) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3}], [%4];" ::"r"(SharedAddress(shared)),
      "l"(map), "r"(x), "r"(y), "r"(SharedAddress(barrier))
      : "memory");
}

__device__ __forceinline__ void CopyBox(void* shared, const CUtensorMap* map, uint64_t* barrier,
                                        int x, int y, int z) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3, %4}], [%5];" ::"r"(SharedAddress(shared)),
      "l"(map), "r"(x), "r"(y), "r"(z), "r"(SharedAddress(barrier))
      : "memory");
}

/// From shared to global memory; what is beyond the tensor's borders stays out. Threads that wrote
/// the box call FenceCopies, then meet, then one of them starts the copy.
__device__ __forceinline__ void FenceCopies() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
__device__ __forceinline__ void StoreBox(const void* shared, const CUtensorMap* map, int x, int y) {
  asm volatile(
      "cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(map),
      "r"(x), "r"(y), "r"(SharedAddress(shared))
      : "memory");
}
/// The same, floats added to what is there. Subnormal numbers count as zeros.
__device__ __forceinline__ void AddBox(const void* shared, const CUtensorMap* map, int x, int y) {
  asm volatile(
      "cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.bulk_group [%0, {%1, %2}], [%3];" ::
          "l"(map),
      "r"(x), "r"(y), "r"(SharedAddress(shared))
      : "memory");
}
__device__ __forceinline__ void CommitBoxes() {
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
/// Until at most `groups` of this thread's committed groups still read shared memory.
template <int groups>
__device__ __forceinline__ void WaitBoxesRead() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(groups) : "memory");
}

// ---- Products of a warpgroup. They run on behind the instruction: registers that they read or
// write are theirs from FenceProducts to a WaitProducts.

__device__ __forceinline__ void FenceProducts() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void CommitProducts() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/// Until at most `groups` committed groups are under way.
template <int groups>
__device__ __forceinline__ void WaitProducts() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(groups) : "memory");
}

/// Registers stand here as they are: the compiler can't make them later, or read them earlier.
template <class T, int n>
__device__ __forceinline__ void HoldRegisters(T (&d)[n]) {
#pragma unroll
  for (int i = 0; i < n; ++i) asm volatile("" : "+r"(d[i])::"memory");
}
template <int n>
__device__ __forceinline__ void HoldRegisters(uint32_t (&d)[n][4]) {
#pragma unroll
  for (int i = 0; i < n; ++i) HoldRegisters(d[i]);
}

/// Registers of each thread of this warpgroup, a multiple of 8; they come from, or go to, the
/// others of the block.
template <int registers>
__device__ __forceinline__ void GrowRegisters() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers));
}
template <int registers>
__device__ __forceinline__ void ShrinkRegisters() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers));
}

/// Rows of 128 bytes in shared memory as CU_TENSOR_MAP_SWIZZLE_128B lays them, 8 rows in 1024
/// bytes; `shared` at a multiple of 1024, and 32 bytes further for each next step of 32 columns.
__device__ __forceinline__ uint64_t SwizzledRows(const void* shared) {
  constexpr uint64_t kSwizzle128 = uint64_t{1} << 62;
  constexpr uint64_t kEightRows = uint64_t{1024 / 16} << 32;
  return kSwizzle128 | kEightRows | (uint64_t{1} << 16) | ((SharedAddress(shared) & 0x3ffff) >> 4);
}

// Register lists of the instruction below.
#define TERN_R0 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
#define TERN_R16 "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define TERN_R32 "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47"
#define TERN_R48 "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define TERN_R64 "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79"
#define TERN_D4(i) "+r"(d[i]), "+r"(d[i + 1]), "+r"(d[i + 2]), "+r"(d[i + 3])
#define TERN_D16(i) TERN_D4(i), TERN_D4(i + 4), TERN_D4(i + 8), TERN_D4(i + 12)

/// d += a b, (64 x 32) unsigned codes times (32 x n) signed bytes, n = 2 * registers: warp w of the
/// four holds rows 16 w.., a as in MmaU8S8, b as SwizzledRows; d[4 j + i]: row g + 8 (i >> 1),
/// column 8 j + 2t + (i & 1). Without `accumulate`: d = a b.
#define TERN_WGMMA(n, list, a_list, b, p, ...)                                                    \
  __device__ __forceinline__ void MultiplyAsync(int(&d)[n / 2], const uint32_t* a, uint64_t rows, \
                                                int accumulate) {                                 \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " p                                            \
                 ", 0;\n"                                                                         \
                 "wgmma.mma_async.sync.aligned.m64n" #n "k32.s32.u8.s8 {" list "}, {" a_list      \
                 "}, " b ", p;\n}"                                                                \
                 : __VA_ARGS__                                                                    \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(rows), "r"(accumulate)         \
                 : "memory");                                                                     \
  }
TERN_WGMMA(32, TERN_R0, "%16,%17,%18,%19", "%20", "%21", TERN_D16(0))
TERN_WGMMA(64, TERN_R0 "," TERN_R16, "%32,%33,%34,%35", "%36", "%37", TERN_D16(0), TERN_D16(16))
TERN_WGMMA(96, TERN_R0 "," TERN_R16 "," TERN_R32, "%48,%49,%50,%51", "%52", "%53", TERN_D16(0),
           TERN_D16(16), TERN_D16(32))
TERN_WGMMA(128, TERN_R0 "," TERN_R16 "," TERN_R32 "," TERN_R48, "%64,%65,%66,%67", "%68", "%69",
           TERN_D16(0), TERN_D16(16), TERN_D16(32), TERN_D16(48))
TERN_WGMMA(160, TERN_R0 "," TERN_R16 "," TERN_R32 "," TERN_R48 "," TERN_R64, "%80,%81,%82,%83",
           "%84", "%85", TERN_D16(0), TERN_D16(16), TERN_D16(32), TERN_D16(48), TERN_D16(64))
#undef TERN_WGMMA
#undef TERN_D16
#undef TERN_D4
#undef TERN_R0
#undef TERN_R16
#undef TERN_R32
#undef TERN_R48
#undef TERN_R64

}  // namespace tern::cuda
#endif  // TERN_HOPPER
