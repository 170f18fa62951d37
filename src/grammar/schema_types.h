// The documents of one type that a schema accepts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "grammar/rule_set.h"
#include "grammar/schema_merge.h"

namespace tern::grammar {

class SubschemaBuilder {
 public:
  virtual ~SubschemaBuilder() = default;
  /// A call of the rule that a schema becomes; `schema` must outlive the conversion.
  virtual ExprId Subschema(const Schema& schema, std::string_view pointer) = 0;
};

/// The value of "type"; empty where there is none. kInvalidArgument for an unknown one.
Result<std::vector<std::string>> TypesOf(const Schema& schema, std::string_view pointer);
/// What a schema without "type" is meant for, by its keywords; empty: anything.
std::vector<std::string> ImpliedTypes(const Schema& schema);
/// Whether a keyword restricts values of one type only.
bool IsTypeKeyword(std::string_view keyword);
bool HasType(const Schema& value, std::string_view type);

Result<ExprId> ConvertType(std::string_view type, const Schema& schema, std::string_view pointer,
                           RuleSet& rules, SubschemaBuilder& builder);

}  // namespace tern::grammar
