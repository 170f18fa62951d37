#include "info_devices.h"

#include "backend/cuda/cuda_backend.h"
#include "command.h"
#include "human.h"
#include "json_lines.h"

namespace tern::cli {

Result<int> PrintDevices(bool json) {
  const auto devices = CudaDevices(true);
  if (json) {
    nlohmann::ordered_json line = {{"devices", nlohmann::ordered_json::array()}};
    if (!devices) line["reason"] = devices.error().message;
    if (devices)
      for (const CudaDevice& d : *devices)
        line["devices"].push_back({{"device", fmt::format("cuda:{}", d.index)},
                                   {"name", d.name},
                                   {"compute_capability", fmt::format("{}.{}", d.compute / 10, d.compute % 10)},
                                   {"multiprocessors", d.multiprocessors},
                                   {"memory_bytes", d.memory},
                                   {"free_bytes", d.free_memory}});
    PrintJsonLine(line);
    return kExitOk;
  }
  fmt::print("cpu       the processors of this machine; tern info --kernels tells more\n");
  if (!devices) {
    fmt::print("cuda      none: {}\n", devices.error().message);
    return kExitOk;
  }
  if (devices->empty()) fmt::print("cuda      none: no GPU in this machine\n");
  for (const CudaDevice& d : *devices)
    fmt::print("cuda:{:<5}{}, compute capability {}.{}, {} multiprocessors, {} of {} free\n", d.index,
               d.name, d.compute / 10, d.compute % 10, d.multiprocessors,
               HumanBytes(d.free_memory), HumanBytes(d.memory));
  return kExitOk;
}

}  // namespace tern::cli
