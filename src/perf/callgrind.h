// What Valgrind's callgrind counted: figures that no noise reaches.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tern {

struct InstructionProfile {
  uint64_t total = 0;                    // instructions
  std::map<std::string, uint64_t> self;  // by function, without what it calls
  uint64_t allocations = 0;              // calls of malloc, calloc, realloc and their aligned kin

  /// Of all functions whose name has the text; `total` for "".
  uint64_t Instructions(std::string_view text) const;
};

/// Reads a file that callgrind wrote with one event (Ir), as its format specification has it
/// (positions: line; names compressed). kCorrupt, with `name` in front.
Result<InstructionProfile> ParseCallgrind(std::string_view text, const std::string& name);

}  // namespace tern
