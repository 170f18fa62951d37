// A line of a merges list.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "tokenizer/quoted.h"

namespace tern {

/// "left right", split at the first space at index >= 1 (a part may itself begin with a space in
/// some vocabularies). Errors: kCorrupt, naming the line, when one of them is missing.
inline Result<std::pair<std::string_view, std::string_view>> SplitMergeRule(std::string_view rule,
                                                                            size_t index) {
  const size_t space = rule.find(' ', 1);
  if (space == std::string_view::npos || space + 1 == rule.size())
    return Fail(Code::kCorrupt, "merge {}: found {}, expected two parts with a space between",
                index, Quoted(rule));
  return std::pair(rule.substr(0, space), rule.substr(space + 1));
}

}  // namespace tern
