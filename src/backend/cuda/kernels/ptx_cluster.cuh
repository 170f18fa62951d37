// Inline PTX for clusters of blocks that read each other's shared memory, and for rounds of bulk
// copies (sm_90 and later). PTX ISA, "barrier.cluster", "mapa", "mbarrier".
#pragma once

#include "backend/cuda/kernels/ptx.cuh"

#if __CUDA_ARCH__ >= 900
namespace tern::cuda {

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
/// The same without a word about memory: for who only waits until others have read.
__device__ __forceinline__ void ArriveClusterRelaxed() {
  asm volatile("barrier.cluster.arrive.relaxed;" ::: "memory");
}

/// `address` from ClusterAddress.
__device__ __forceinline__ int LoadRemote(uint32_t address) {
  int value;
  asm volatile("ld.shared::cluster.s32 %0, [%1];" : "=r"(value) : "r"(address) : "memory");
  return value;
}
__device__ __forceinline__ void StoreRemote(uint32_t address, float a, float b) {
  asm volatile("st.shared::cluster.v2.f32 [%0], {%1,%2};" ::"r"(address), "f"(a), "f"(b)
               : "memory");
}

/// Until the phase of this parity of a bulk barrier (ptx.cuh) has ended.
__device__ __forceinline__ void WaitBulkPhase(uint64_t* barrier, uint32_t parity) {
  asm volatile(
      "{\n.reg .pred done;\nagain:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n}" ::"r"(SharedAddress(barrier)),
      "r"(parity)
      : "memory");
}

}  // namespace tern::cuda
#endif
