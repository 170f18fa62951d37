// Token ids as users write them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace tern::cli {

/// "1,2,3" or "1 2 3" in any mix of commas and white space. kInvalidArgument naming the first
/// entry that is no id.
Result<std::vector<TokenId>> ParseIds(std::string_view text);

/// A JSON array of ids. kInvalidArgument with `where` in front for anything else.
Result<std::vector<TokenId>> IdsOfJson(const nlohmann::json& array, const std::string& where);

/// kInvalidArgument, "<what>: id 512 at position 3, expected 0 to 511", for ids outside [0, count).
Status CheckIds(std::string_view what, const std::vector<TokenId>& ids, int64_t count);

}  // namespace tern::cli
