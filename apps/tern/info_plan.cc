#include "info_plan.h"

#include "backend/cpu/kernel_list.h"
#include "command.h"
#include "json_lines.h"

namespace tern::cli {
namespace {

using cpu::AllKernels;
using cpu::TernaryKernel;

std::string RowsText(const KernelRange& range) {
  if (range.last_rows == 0) return fmt::format("{}+", range.first_rows);
  if (range.last_rows == range.first_rows) return std::to_string(range.first_rows);
  return fmt::format("{}-{}", range.first_rows, range.last_rows);
}

struct KernelLine {
  const TernaryKernel* kernel;
  std::string rows;     // that it runs; empty when rejected
  std::string why_not;  // empty when it runs
};

// A kernel that runs for no number of rows has a reason at the largest; one that is never asked
// comes behind one that runs.
std::vector<KernelLine> KernelLines(const std::string& forced) {
  constexpr int64_t kManyRows = int64_t{1} << 40;
  const auto ranges = cpu::KernelRanges(DetectCpu(), forced);
  const cpu::Choice choice = cpu::SelectKernel(kManyRows, DetectCpu(), forced);
  std::vector<KernelLine> lines;
  for (const TernaryKernel& kernel : AllKernels()) {
    KernelLine line{&kernel, "", ""};
    for (const KernelRange& range : ranges)
      if (range.kernel == kernel.name)
        line.rows += (line.rows.empty() ? "" : ", ") + RowsText(range);
    for (const cpu::Rejection& rejection : choice.why_not)
      if (rejection.kernel == kernel.name) line.why_not = rejection.reason;
    if (line.rows.empty() && line.why_not.empty())
      line.why_not = fmt::format("{} comes first", choice.kernel->name);
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

Result<int> PrintKernels(bool json) {
  TERN_ASSIGN_OR_RETURN(const std::string forced, cpu::ForcedIsa(DetectCpu()));
  const auto lines = KernelLines(forced);
  const std::string_view floats = cpu::SelectFloatTarget(DetectCpu(), forced).isa;
  if (json) {
    nlohmann::ordered_json kernels = nlohmann::ordered_json::array();
    for (const KernelLine& line : lines)
      kernels.push_back({{"name", line.kernel->name},
                         {"isa", line.kernel->isa},
                         {"needs", DescribeCpu(line.kernel->needs)},
                         {"rows", line.rows},
                         {"rejected", line.why_not}});
    PrintJsonLine({{"cpu", DescribeCpu(DetectCpu())},
                   {"forced", forced},
                   {"float_operations", floats},
                   {"kernels", std::move(kernels)}});
    return kExitOk;
  }
  fmt::print("{:<14}{}\n", "cpu", DescribeCpu(DetectCpu()));
  if (!forced.empty()) fmt::print("{:<14}{}\n", "forced", "TERN_FORCE_ISA=" + forced);
  fmt::print("{:<14}{}\n\n{:<34}{:<8}{}\n", "float math", floats, "kernel", "rows", "rejected");
  for (const KernelLine& line : lines)
    fmt::print("{:<34}{:<8}{}\n", line.kernel->name, line.rows.empty() ? "-" : line.rows,
               line.why_not);
  return kExitOk;
}

Result<int> PrintPlan(const ModelOptions& options, bool json) {
  TERN_ASSIGN_OR_RETURN(const auto session, OpenSession(options, {.tokenizer = false}));
  const auto lines = DescribePlan(session->plan());
  if (json) {
    nlohmann::ordered_json plan;
    for (const PlanLine& line : lines) plan[line.step] = line.choice;
    plan["weight_bytes"] = session->plan().weight_bytes;
    PrintJsonLine(plan);
    return kExitOk;
  }
  for (const PlanLine& line : lines) fmt::print("{:<28}{}\n", line.step, line.choice);
  return kExitOk;
}

}  // namespace tern::cli
