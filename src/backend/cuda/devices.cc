#include <cuda_runtime_api.h>

#include <array>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/device_context.h"

namespace tern {
namespace {

std::string BusId(int device) {
  std::array<char, 32> text = {};
  return cudaDeviceGetPCIBusId(text.data(), static_cast<int>(text.size()), device) == cudaSuccess
             ? text.data()
             : "";
}

}  // namespace

Result<std::vector<CudaDevice>> CudaDevices(bool ask_memory) {
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    (void)cudaGetLastError();
    if (error == cudaErrorNoDevice) return std::vector<CudaDevice>();
    return Within("no CUDA driver that works", cuda::ToStatus(error, "cudaGetDeviceCount").error());
  }
  std::vector<CudaDevice> devices;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp props = {};
    TERN_TRY(cuda::ToStatus(cudaGetDeviceProperties(&props, i), "cudaGetDeviceProperties"));
    CudaDevice device{.index = i,
                      .name = props.name,
                      .bus_id = BusId(i),
                      .compute = props.major * 10 + props.minor,
                      .multiprocessors = props.multiProcessorCount,
                      .memory = props.totalGlobalMem,
                      .free_memory = 0,
                      .l2_bytes = static_cast<uint64_t>(props.l2CacheSize)};
    size_t free = 0, total = 0;
    if (ask_memory && cudaSetDevice(i) == cudaSuccess &&
        cudaMemGetInfo(&free, &total) == cudaSuccess)
      device.free_memory = free;
    devices.push_back(std::move(device));
  }
  return devices;
}

}  // namespace tern
