// What measured rows have to reach, and the verdict.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "perf/report.h"

namespace tern {

/// A bound on one field of the rows with this name ("*": of every row that has the field).
struct Target {
  std::string row;
  std::string field;  // "rate" is the row's rate; else a numeric field of the record
  bool minimum = true;
  double bound = 0;
};

/// {"tg128": {"min_rate": 30, "max_p99_ms": 40}, "*": {...}}: "min_" or "max_" and a field. Errors:
/// kCorrupt for what is no JSON or has another form, with the place; `name` comes first in
/// messages.
Result<std::vector<Target>> ParseTargets(std::string_view json, const std::string& name);

/// Sets of targets with a name; "product" are those that tern itself set out with: one layer of
/// [1, 768] computes 300,000 rows a second, at 1, 2 and 5 ms for 50, 95 and 99% of them, in a
/// process of less than 50 MB; the public API takes less than 5% of a decoded token; a GPU is busy
/// for more than 80% of the time. Nothing for another name.
std::optional<std::vector<Target>> TargetPreset(std::string_view name);

enum class TargetState : uint8_t { kMet, kMissed, kAbsent };
/// One target held against one row; `row` and `value` are those of the target and 0 when no row has
/// the figure.
struct TargetOutcome {
  Target target;
  std::string row;
  double value = 0;
  TargetState state = TargetState::kAbsent;
};
std::vector<TargetOutcome> JudgeTargets(const std::vector<Record>& records,
                                        const std::vector<Target>& targets);
/// A Markdown table of them.
std::string DisplayTargets(const std::vector<TargetOutcome>& outcomes);

/// One line for each target that was missed, or that no row could be held to; empty when all are
/// met.
std::vector<std::string> MissedTargets(const std::vector<Record>& records,
                                       const std::vector<Target>& targets);

}  // namespace tern
