#include "registry/registry.h"

#include <charconv>
#include <cstdlib>

#include "backend/cpu/cpu_backend.h"
#include "backend/cuda/cuda_backend.h"
#include "backend/reference/reference_backend.h"

namespace tern {
namespace {

struct Entry {
  std::string_view name;
  Result<std::unique_ptr<Backend>> (*create)(int device, const BackendOptions& options);
  bool devices;  // "name:i" is its i-th
};

constexpr Entry kBackends[] = {
    {"cuda", [](int device, const BackendOptions& o) { return CreateCudaBackend(device, o.level); },
     true},
    {"cpu", [](int, const BackendOptions& o) { return CreateCpuBackend(o.threads, o.level); },
     false},
    {"reference",
     [](int, const BackendOptions& o) -> Result<std::unique_ptr<Backend>> {
       return CreateReferenceBackend(o.threads);
     },
     false},
};

// The first that works here.
std::string_view AutomaticName() {
  const auto gpus = CudaDevices();
  return gpus && !gpus->empty() ? "cuda" : "cpu";
}

}  // namespace

std::vector<std::string_view> BackendNames() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kBackends) names.push_back(entry.name);
  return names;
}

Result<std::unique_ptr<Backend>> CreateBackend(std::string_view name,
                                               const BackendOptions& options) {
  if (name.empty() || name == "auto") {
    const char* forced = std::getenv("TERN_FORCE_BACKEND");
    name = forced != nullptr && *forced != '\0' ? std::string_view(forced) : AutomaticName();
  }
  for (const Entry& entry : kBackends) {
    if (entry.name == name) return entry.create(0, options);
    if (!entry.devices || !name.starts_with(entry.name) || name[entry.name.size()] != ':') continue;
    const std::string_view number = name.substr(entry.name.size() + 1);
    int device = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), device);
    if (error != std::errc() || end != number.data() + number.size() || device < 0)
      return Fail(Code::kInvalidArgument, "device '{}', expected {}:0, {}:1, ..", name, entry.name,
                  entry.name);
    return entry.create(device, options);
  }
  return Fail(Code::kInvalidArgument, "unknown backend '{}', known: {}", name,
              fmt::join(BackendNames(), ", "));
}

}  // namespace tern
