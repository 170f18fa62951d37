// Schemas as JSON values: reading them, following references, merging what must hold together.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tern::grammar {

using Schema = nlohmann::ordered_json;  // members in the order of the text

/// Bounded in size, depth and members per object. Errors: kInvalidArgument, kResourceExhausted.
Result<Schema> ReadSchema(std::string_view text);

/// The error for the value at `pointer`: "schema: #/properties/a: ...".
tl::unexpected<Error> SchemaError(Code code, std::string_view pointer, std::string_view what);

/// Pointer of a member: pointer + "/" + name, escaped.
std::string Below(std::string_view pointer, std::string_view name);

/// "#", "#/$defs/node". kUnsupported for other documents and anchors, kInvalidArgument for what
/// leads nowhere.
Result<const Schema*> FollowRef(const Schema& document, const Schema& ref,
                                std::string_view pointer);

/// Whether a keyword restricts documents (false: an annotation, or a place for definitions).
bool IsAssertion(std::string_view keyword);

/// What satisfies both. `pointer` names `add` in errors: kUnsupported where two values of a keyword
/// can't be made one.
Status MergeSchema(Schema& base, const Schema& add, std::string_view pointer);

}  // namespace tern::grammar
