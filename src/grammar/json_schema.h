// JSON schemas (draft 2020-12 and what older drafts share with it) to rules.
#pragma once

#include <string_view>

#include "base/result.h"
#include "grammar/rule_set.h"

namespace tern::grammar {

/// Defines the rules of the documents that a schema accepts and the root. Errors as
/// Grammar::FromJsonSchema's.
///
/// Held to: type, enum, const, properties, required, additionalProperties, items, prefixItems,
/// minItems, maxItems, anyOf, oneOf (as anyOf), allOf, $ref within the document, minLength,
/// maxLength, pattern, format date, time, date-time and uuid, bounds of integers, whole bounds of
/// numbers. Other formats and unknown keywords are annotations, as the standard has it.
Status ParseJsonSchema(std::string_view text, RuleSet& rules);

}  // namespace tern::grammar
