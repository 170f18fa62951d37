// The parts of JSON that grammars of schemas are made of.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "grammar/rule_set.h"

namespace tern::grammar {

/// Defines the rules value, object, array, string, string-rest (behind the opening quote), char,
/// number, integer, boolean, null, ws, date, time, date-time, uuid (these four with their quotes).
void DefineJsonRules(RuleSet& rules);

/// One character of `ranges` as a JSON string spells it: itself, or with a short escape where it
/// must have one. Control characters without a short escape are left out.
ExprId JsonChar(RuleSet& rules, const Ranges& ranges);

/// Decimal integers low..high without leading zeros, 0 <= low <= high < 10^18.
ExprId Digits(RuleSet& rules, uint64_t low, uint64_t high);

/// The quoted strings that match a regular expression: ^ and $ at the ends of the whole,
/// characters,
/// ., classes, \d \w \s \D \W \S, the escapes of ECMA-262 for characters, groups, |, * + ? {m,n}.
/// Errors: kUnsupported for anything else (assertions, back references, what is no expression); the
/// message begins with what was found.
Result<ExprId> ParsePattern(std::string_view pattern, RuleSet& rules);

}  // namespace tern::grammar
