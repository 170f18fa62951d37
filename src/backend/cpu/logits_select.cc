#include "backend/cpu/kernel_list.h"
#include "backend/cpu/logits_list.h"

namespace tern::cpu {
namespace {

// What a forced instruction set may use: the needs of every kernel that bears its name.
CpuFeatures Allowed(CpuFeatures features, std::string_view forced_isa) {
  if (forced_isa.empty()) return features;
  CpuFeatures allowed = 0;
  for (const TernaryKernel& kernel : AllKernels())
    if (kernel.isa == forced_isa) allowed |= kernel.needs;
  // Every CPU with AVX2 converts halves.
  if (allowed & kCpuAvx2) allowed |= kCpuF16c;
  return allowed & features;
}

}  // namespace

const LogitsTarget& SelectLogitsTarget(CpuFeatures features, std::string_view forced_isa) {
  const CpuFeatures allowed = Allowed(features, forced_isa);
  for (const LogitsTarget& target : AllLogitsTargets())
    if ((target.needs & allowed) == target.needs) return target;
  return AllLogitsTargets().back();
}

const Int8LogitsKernel& SelectInt8Logits(int64_t rows, CpuFeatures features,
                                         std::string_view forced_isa) {
  const CpuFeatures allowed = Allowed(features, forced_isa);
  for (const Int8LogitsKernel& kernel : AllInt8LogitsKernels())
    if ((kernel.needs & allowed) == kernel.needs && rows >= kernel.min_rows) return kernel;
  return AllInt8LogitsKernels().back();
}

}  // namespace tern::cpu
