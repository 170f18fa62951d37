// How much is done for speed. On a CPU the result is the same bits at every level; on a GPU joined
// operations sum floats in an order of their own.
#pragma once

#include <cstdint>
#include <string_view>

namespace tern {

/// kNone: the scalar kernels, one operation at a time, as the reference does it.
/// kBasic: the best kernels of this CPU, one operation at a time.
/// kAggressive: those, with operations joined where they share data.
enum class OptimizationLevel : uint8_t { kNone, kBasic, kAggressive };

inline std::string_view OptimizationName(OptimizationLevel level) {
  switch (level) {
    case OptimizationLevel::kNone:
      return "none";
    case OptimizationLevel::kBasic:
      return "basic";
    case OptimizationLevel::kAggressive:
      return "aggressive";
  }
  return "";
}

}  // namespace tern
