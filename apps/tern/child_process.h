// Running another program and reading what it says.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace tern::cli {

/// What a finished program took.
struct ChildUsage {
  double wall_s = 0;   // from its start to its end
  double cpu_s = 0;    // user and system time of all its threads
  double peak_mb = 0;  // 1e6 bytes of memory at most
};

/// Runs a program (looked for in PATH when its name has no slash) and waits for it. Returns its
/// standard output. Errors: kNotFound when it can't be started; kInternal when it ends with another
/// exit code than 0 or by a signal, with the last line that it wrote to its standard error. env:
/// "NAME=VALUE", in place of what this process has under that name.
Result<std::string> RunAndRead(const std::vector<std::string>& command,
                               const std::vector<std::string>& env = {},
                               ChildUsage* usage = nullptr);

}  // namespace tern::cli
