// Every kernel of this build as data: dispatch, property tests and benchmarks iterate over it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/float_contract.h"
#include "backend/cpu/kernel_contract.h"
#include "base/result.h"
#include "platform/cpu_features.h"

namespace tern::cpu {

/// One row of the list. Names follow docs/kernels.md: op_weights_activations_layout_isa.
struct TernaryKernel {
  std::string_view name;
  std::string_view isa;  // as TERN_FORCE_ISA spells it
  CpuFeatures needs;
  int64_t min_rows;  // of activations, from which on it is preferred
  GemmFunction run;
};

/// Best first; scalar, which always works, last.
std::span<const TernaryKernel> AllKernels();

/// Float operations compiled for an instruction set; best first.
struct FloatTarget {
  std::string_view isa;
  CpuFeatures needs;
  const FloatOps* ops;
};
std::span<const FloatTarget> AllFloatTargets();

struct Rejection {
  std::string_view kernel;
  std::string reason;
};

/// Why the ones before it in the list don't run.
struct Choice {
  const TernaryKernel* kernel = nullptr;
  std::vector<Rejection> why_not;
};
/// What runs for a number of rows.
const TernaryKernel& PickKernel(int64_t rows, CpuFeatures features, std::string_view forced_isa);
/// PickKernel with the reasons, which take time to write.
Choice SelectKernel(int64_t rows, CpuFeatures features, std::string_view forced_isa);
/// SelectKernel for every number of rows, from 1 on.
std::vector<KernelRange> KernelRanges(CpuFeatures features, std::string_view forced_isa);
const FloatTarget& SelectFloatTarget(CpuFeatures features, std::string_view forced_isa);

/// $TERN_FORCE_ISA, or "" when unset. Errors: kInvalidArgument for a name that no kernel has,
/// kUnsupported when this CPU lacks it.
Result<std::string> ForcedIsa(CpuFeatures features);

}  // namespace tern::cpu
