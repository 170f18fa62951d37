// The backend for NVIDIA GPUs (compute capability 8.0 and later). Built without CUDA, it says so.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/optimization.h"

namespace tern {

struct CudaDevice {
  int index = 0;
  std::string name;
  std::string bus_id;  // PCI, "0000:1a:00.0"; "" when not known
  int compute = 0;     // capability, major * 10 + minor
  int multiprocessors = 0;
  uint64_t memory = 0;       // bytes
  uint64_t free_memory = 0;  // bytes, when asked for
  uint64_t l2_bytes = 0;
};

/// The GPUs that are there, usable or not. Errors: kUnsupported when tern was built without CUDA;
/// kDevice when the driver is missing or too old. Asking for free memory takes a context on each
/// of them: a second, and some hundred megabytes.
Result<std::vector<CudaDevice>> CudaDevices(bool ask_memory = false);

/// Sums of ternary layers are the CPU's, bit for bit; float sums have the GPU's own order, which
/// depends on nothing but the shapes and the level: not on other rows of a pass, nor on where cache
/// blocks lie.
/// Errors: as CudaDevices; kNotFound for a device that isn't there; kUnsupported for one that is
/// too old.
Result<std::unique_ptr<Backend>> CreateCudaBackend(int device, OptimizationLevel level);

}  // namespace tern
