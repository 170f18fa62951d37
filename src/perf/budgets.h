// What a program may cost, in a file that lies with its sources; going over it is a decision that
// somebody writes down there.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tern {

/// Counts and sizes are the same in every run; times, memory and energy are not.
enum class BudgetKind : uint8_t {
  kInstructions,  // under callgrind, of `run`; only functions with `function` in their name
  kAllocations,   // under callgrind, of `run`
  kSize,          // bytes of `file`
  kRegisters,     // of the kernel `function` in `file`, what ptxas -v said
  kSpills,        // bytes that it spills
  kTime,          // `field` of the row `row` of `run`: a time, the less the better
  kMemory,        // the same, MB; row "process": the peak of the process
  kEnergy,        // the same, joules
};
std::string_view BudgetKindName(BudgetKind kind);
/// The same in every run.
bool IsRepeatable(BudgetKind kind);

struct Budget {
  std::string name;
  BudgetKind kind = BudgetKind::kInstructions;
  std::vector<std::string> run = {}, env = {};
  std::string function = {}, file = {}, row = {}, field = {};
  double accepted = 0;  // what it cost when somebody last agreed
  double margin = 0;    // share above it that compilers and libraries may take: 0.01
  int rounds = 10;      // kTime, kMemory, kEnergy

  double limit() const { return accepted * (1 + margin); }
};

/// {"budgets": [{"name": ..., "kind": "instructions", "run": [...], "accepted": N, "margin": X},
/// ...]} with the other fields of Budget where the kind needs them. kCorrupt, with `file` and the
/// row in front, for anything else, unknown fields included.
Result<std::vector<Budget>> ParseBudgets(std::string_view json, const std::string& file);
/// The same text with the accepted figures of the rows that have one; the rest stays as it is, but
/// for white space.
Result<std::string> AcceptBudgets(std::string_view json, const std::string& file,
                                  const std::vector<std::optional<double>>& figures);

enum class BudgetOutcome : uint8_t { kWithin, kOver, kBelow, kUnknown, kAbsent };
/// "within", "OVER", "below: accept the new figure", "can't tell", "absent".
std::string_view BudgetOutcomeName(BudgetOutcome outcome);

/// One figure for what is repeatable, one a round for the rest: there the 95% interval of the
/// median has to lie on one side of the limit. kBelow: below the accepted figure by more than the
/// margin, so that the limit guards nothing any more.
BudgetOutcome JudgeBudget(const Budget& budget, const std::vector<double>& values);

/// Registers and bytes of spills of the first kernel with `function` in its name, from what
/// `ptxas -v` (or nvcc -Xptxas -v) printed; nothing when it has no such kernel.
struct KernelResources {
  double registers = 0, spill_bytes = 0;
};
std::optional<KernelResources> FindKernelResources(std::string_view ptxas,
                                                   std::string_view function);

}  // namespace tern
