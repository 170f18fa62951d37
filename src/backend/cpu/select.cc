#include <cstdlib>
#include <set>

#include "backend/cpu/kernel_list.h"

namespace tern::cpu {

Choice SelectKernel(int64_t rows, CpuFeatures features, std::string_view forced_isa) {
  Choice choice;
  for (const TernaryKernel& kernel : AllKernels()) {
    std::string reason;
    if ((kernel.needs & features) != kernel.needs)
      reason = fmt::format("this CPU lacks {}", DescribeCpu(kernel.needs & ~features));
    else if (!forced_isa.empty() && kernel.isa != forced_isa)
      reason = fmt::format("TERN_FORCE_ISA is {}", forced_isa);
    else if (forced_isa.empty() && rows < kernel.min_rows)
      reason = fmt::format("for {} rows and more, not {}", kernel.min_rows, rows);
    if (reason.empty()) {
      choice.kernel = &kernel;
      break;
    }
    choice.why_not.push_back({kernel.name, std::move(reason)});
  }
  return choice;
}

std::vector<KernelRange> KernelRanges(CpuFeatures features, std::string_view forced_isa) {
  std::set<int64_t> borders{1};
  for (const TernaryKernel& kernel : AllKernels()) borders.insert(kernel.min_rows);
  std::vector<KernelRange> ranges;
  for (const int64_t rows : borders) {
    const std::string_view kernel = SelectKernel(rows, features, forced_isa).kernel->name;
    if (!ranges.empty() && ranges.back().kernel == kernel) continue;
    if (!ranges.empty()) ranges.back().last_rows = rows - 1;
    ranges.push_back({rows, 0, std::string(kernel)});
  }
  return ranges;
}

const FloatTarget& SelectFloatTarget(CpuFeatures features, std::string_view forced_isa) {
  // A forced set without float operations of its own takes the ones that its CPU features allow.
  const auto targets = AllFloatTargets();
  CpuFeatures allowed = features;
  for (const TernaryKernel& kernel : AllKernels())
    if (kernel.isa == forced_isa) allowed = kernel.needs;
  for (const FloatTarget& target : targets)
    if ((target.needs & allowed) == target.needs) return target;
  return targets.back();
}

Result<std::string> ForcedIsa(CpuFeatures features) {
  const char* value = std::getenv("TERN_FORCE_ISA");
  if (value == nullptr || *value == '\0') return std::string();
  const std::string isa = value;
  std::vector<std::string_view> known;
  for (const TernaryKernel& kernel : AllKernels()) {
    if (kernel.isa != isa) {
      known.push_back(kernel.isa);
      continue;
    }
    if ((kernel.needs & features) != kernel.needs)
      return Fail(Code::kUnsupported, "TERN_FORCE_ISA={}: this CPU lacks {}", isa,
                  DescribeCpu(kernel.needs & ~features));
    return isa;
  }
  return Fail(Code::kInvalidArgument,
              "TERN_FORCE_ISA: unknown instruction set '{}', expected one of: {}", isa,
              fmt::join(known, ", "));
}

}  // namespace tern::cpu
