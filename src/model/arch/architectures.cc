#include "model/arch/architectures.h"

namespace tern {
namespace {

const Architecture* const kArchitectures[] = {&kBitnetB158, &kBitnet, &kLlama, &kQwen3};

}  // namespace

Result<const Architecture*> FindArchitecture(std::string_view name) {
  for (const Architecture* arch : kArchitectures)
    if (arch->name == name || (!arch->alias.empty() && arch->alias == name)) return arch;
  return Fail(Code::kUnsupported,
              "key 'general.architecture': '{}' is not supported, expected one of: {}", name,
              fmt::join(ArchitectureNames(), ", "));
}

std::vector<std::string_view> ArchitectureNames() {
  std::vector<std::string_view> names;
  for (const Architecture* arch : kArchitectures) names.push_back(arch->name);
  return names;
}

}  // namespace tern
