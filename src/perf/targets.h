// What measured rows have to reach, and the verdict.
#pragma once

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

/// One line for each target that was missed, or that no row could be held to; empty when all are
/// met.
std::vector<std::string> MissedTargets(const std::vector<Record>& records,
                                       const std::vector<Target>& targets);

}  // namespace tern
