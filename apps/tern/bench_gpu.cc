// What the GPU did while rows were measured.
#include <algorithm>
#include <cstdio>

#include "backend/cuda/cuda_backend.h"
#include "bench.h"
#include "command.h"
#include "engine/benchmark.h"

namespace tern::cli {
namespace {

// NVML counts devices by the bus, CUDA by speed and by what the user lets it see.
Result<int> DeviceOf(const Nvml& nvml, const Backend& backend) {
  TERN_ASSIGN_OR_RETURN(const std::vector<CudaDevice> devices, CudaDevices());
  const auto device = std::find_if(devices.begin(), devices.end(), [&](const CudaDevice& d) {
    return backend.name() == fmt::format("cuda:{}", d.index);
  });
  if (device == devices.end())
    return Fail(Code::kNotFound, "no GPU is called {}", std::string(backend.name()));
  return nvml.DeviceAt(device->bus_id);
}

Result<std::unique_ptr<GpuSampler>> Watch(const Backend& backend) {
  TERN_ASSIGN_OR_RETURN(const Nvml nvml, Nvml::Open());
  TERN_ASSIGN_OR_RETURN(const int device, DeviceOf(nvml, backend));
  return std::make_unique<GpuSampler>(nvml, device);
}

}  // namespace

Result<std::unique_ptr<GpuSampler>> WatchGpu(const BenchOptions& options, const Backend& backend) {
  if (!options.nvml.empty()) {
    TERN_ASSIGN_OR_RETURN(const Nvml nvml, Nvml::Open(options.nvml));
    return std::make_unique<GpuSampler>(nvml, 0);
  }
  if (!backend.name().starts_with("cuda")) return nullptr;
  auto watched = Watch(backend);
  if (watched) return watched;
  PrintNote("no figures of the GPU: " + watched.error().message);
  return nullptr;
}

void PrintGpuLines(const std::vector<Record>& records) {
  for (const Record& record : records)
    if (const std::string line = GpuLine(record); !line.empty()) fmt::print("\n{}", line);
}

}  // namespace tern::cli
