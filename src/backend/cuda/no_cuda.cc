// What a build without CUDA has in place of src/backend/cuda.
#include "backend/cuda/cuda_backend.h"

namespace tern {
namespace {

tl::unexpected<Error> NotBuilt() {
  return Fail(
      Code::kUnsupported,
      "this tern was built without CUDA: configure with -DTERN_CUDA=ON and nvcc on the PATH");
}

}  // namespace

Result<std::vector<CudaDevice>> CudaDevices(bool) { return NotBuilt(); }

Result<std::unique_ptr<Backend>> CreateCudaBackend(int, OptimizationLevel) { return NotBuilt(); }

}  // namespace tern
