// How the kernels of this folder are launched: each launcher puts work on a stream and returns.
#pragma once

#include <cuda_runtime_api.h>

namespace tern::cuda {

/// Where a kernel goes. `dependent`: it may start while its predecessor on the stream still runs
/// (programmatic dependent launch); every kernel here waits for that one by itself
/// (ptx.cuh, WaitForPredecessor) before it touches anything but weights.
struct Launch {
  cudaStream_t stream = nullptr;
  bool dependent = false;
  int multiprocessors = 132;
  int compute = 90;  // capability, major * 10 + minor
};

/// cudaLaunchKernelEx with the attribute that `launch.dependent` asks for. All kernels want most of
/// a multiprocessor's memory as shared memory, for a change of that has to wait until the
/// multiprocessor is empty, and then no kernel could start before its predecessor's end. Errors stay
/// with the runtime (cudaGetLastError).
template <class... Params, class... Args>
void Start(const Launch& launch, void (*kernel)(Params...), dim3 grid, dim3 block,
           size_t shared_bytes, Args&&... args) {
  (void)cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                             cudaSharedmemCarveoutMaxShared);
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = launch.stream;
  config.attrs = &attribute;
  config.numAttrs = launch.dependent && launch.compute >= 90 ? 1 : 0;
  (void)cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...);
}

}  // namespace tern::cuda
