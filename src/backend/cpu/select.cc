#include <cstdlib>
#include <set>

#include "backend/cpu/kernel_list.h"

namespace tern::cpu {

const TernaryKernel& PickKernel(int64_t rows, CpuFeatures features, std::string_view forced_isa) {
  for (const TernaryKernel& kernel : AllKernels())
    if ((kernel.needs & features) == kernel.needs &&
        (forced_isa.empty() ? rows >= kernel.min_rows : kernel.isa == forced_isa))
      return kernel;
  return AllKernels().back();
}

Choice SelectKernel(int64_t rows, CpuFeatures features, std::string_view forced_isa) {
  Choice choice{&PickKernel(rows, features, forced_isa), {}};
  for (const TernaryKernel& kernel : AllKernels()) {
    if (&kernel == choice.kernel) break;
    std::string reason;
    if ((kernel.needs & features) != kernel.needs)
      reason = fmt::format("this CPU lacks {}", DescribeCpu(kernel.needs & ~features));
    else if (!forced_isa.empty() && kernel.isa != forced_isa)
      reason = fmt::format("TERN_FORCE_ISA is {}", forced_isa);
    else
      reason = fmt::format("for {} rows and more, not {}", kernel.min_rows, rows);
    choice.why_not.push_back({kernel.name, std::move(reason)});
  }
  return choice;
}

std::vector<KernelRange> KernelRanges(CpuFeatures features, std::string_view forced_isa) {
  std::set<int64_t> borders{1};
  for (const TernaryKernel& kernel : AllKernels()) borders.insert(kernel.min_rows);
  std::vector<KernelRange> ranges;
  for (const int64_t rows : borders) {
    const std::string_view kernel = PickKernel(rows, features, forced_isa).name;
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
