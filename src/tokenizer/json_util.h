// JSON text of unknown origin, and its members.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/result.h"

namespace tern {

/// Errors: kCorrupt for what is not JSON, kUnsupported for nesting deeper than 64 levels.
Result<nlohmann::json> ParseJson(std::string_view text);

/// The member of an object; nullptr when `object` is none, has none, or has null there.
const nlohmann::json* Member(const nlohmann::json& object, const char* name);

/// The same for members of one type; another type counts as absent.
const std::string* StringMember(const nlohmann::json& object, const char* name);
bool BoolMember(const nlohmann::json& object, const char* name, bool fallback);

}  // namespace tern
