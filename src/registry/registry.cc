#include "registry/registry.h"

#include <cstdlib>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"

namespace tern {
namespace {

struct Entry {
  std::string_view name;
  Result<std::unique_ptr<Backend>> (*create)(const BackendOptions& options);
};

constexpr Entry kBackends[] = {
    {"cpu", [](const BackendOptions& o) { return CreateCpuBackend(o.threads, o.level); }},
    {"reference",
     [](const BackendOptions& o) -> Result<std::unique_ptr<Backend>> {
       return CreateReferenceBackend(o.threads);
     }},
};

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
    name = forced != nullptr && *forced != '\0' ? std::string_view(forced) : kBackends[0].name;
  }
  for (const Entry& entry : kBackends)
    if (entry.name == name) return entry.create(options);
  return Fail(Code::kInvalidArgument, "unknown backend '{}', known: {}", name,
              fmt::join(BackendNames(), ", "));
}

}  // namespace tern
