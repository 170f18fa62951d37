// One line of a .jsonl file of prompts.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "batch/prompt_file.h"

namespace tern {

/// Fills in what the object says: prompt or messages, id, options. Fields that it doesn't know are
/// passed over, those that are null count as absent. Errors: kCorrupt, with `where` and the field
/// in front.
Status ParseItem(std::string_view line, const std::string& where, LastGrammar& last,
                 BatchItem& item);

}  // namespace tern
