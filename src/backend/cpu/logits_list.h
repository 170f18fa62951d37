// Every kernel of the output head as data, like kernel_list.h.
#pragma once

#include <span>
#include <string_view>

#include "backend/cpu/logits_contract.h"
#include "platform/cpu_features.h"

namespace tern::cpu {

/// Kernels for rows as files keep them; names: logits_<format>_f32_rows_<isa>.
struct LogitsTarget {
  std::string_view isa;
  CpuFeatures needs;
  const LogitsOps* ops;
};

struct Int8LogitsKernel {
  std::string_view name;
  std::string_view isa;
  CpuFeatures needs;
  int64_t min_rows;  // of x, from which on it is preferred
  Int8LogitsFunction run;
};

/// Best first; scalar, which always works, last.
std::span<const LogitsTarget> AllLogitsTargets();
std::span<const Int8LogitsKernel> AllInt8LogitsKernels();

/// The first that `features` allow; a forced instruction set takes away all features but its own.
const LogitsTarget& SelectLogitsTarget(CpuFeatures features, std::string_view forced_isa);
const Int8LogitsKernel& SelectInt8Logits(int64_t rows, CpuFeatures features,
                                         std::string_view forced_isa);

}  // namespace tern::cpu
