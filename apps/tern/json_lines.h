// Files of one JSON object a line.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace tern::cli {

/// What becomes of one line. `where` names file and line, for messages.
using LineAction = std::function<Status(const nlohmann::json& object, const std::string& where)>;

/// Calls the action for each line that is not blank, in order, reading as it goes ("-": standard
/// input). Stops at the first error: a file that can't be read, a line that is no JSON object (the
/// message names file and line), or the action's own.
Status ForEachJsonLine(const std::string& path, const LineAction& action);

/// One line on stdout. Bytes that are not UTF-8 become U+FFFD.
void PrintJsonLine(const nlohmann::ordered_json& value);

}  // namespace tern::cli
