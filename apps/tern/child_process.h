// Running another program and reading what it says.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace tern::cli {

/// Runs a program (looked for in PATH when its name has no slash) and waits for it. Returns its
/// standard output. Errors: kNotFound when it can't be started; kInternal when it ends with another
/// exit code than 0 or by a signal, with the last line that it wrote to its standard error.
Result<std::string> RunAndRead(const std::vector<std::string>& command);

}  // namespace tern::cli
