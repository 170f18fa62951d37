#include "grammar/json_schema.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "grammar/json_rules.h"
#include "grammar/limits.h"
#include "grammar/schema_merge.h"
#include "grammar/schema_types.h"

namespace tern::grammar {
namespace {

// Keywords that restrict and that nothing here can hold a text to.
constexpr std::string_view kUnsupported[] = {"not",
                                             "if",
                                             "then",
                                             "else",
                                             "dependentRequired",
                                             "dependencies",
                                             "dependentSchemas",
                                             "patternProperties",
                                             "propertyNames",
                                             "minProperties",
                                             "maxProperties",
                                             "uniqueItems",
                                             "contains",
                                             "minContains",
                                             "maxContains",
                                             "multipleOf",
                                             "$dynamicRef",
                                             "$recursiveRef",
                                             "additionalItems",
                                             "unevaluatedItems",
                                             "unevaluatedProperties"};

/// A value of such a keyword that asks for nothing, or for what is so anyway.
bool AsksNothing(std::string_view keyword, const Schema& value) {
  if (keyword == "uniqueItems") return value == false;
  if (keyword == "minProperties") return value == 0;
  if (keyword == "unevaluatedProperties" || keyword == "unevaluatedItems")
    return value.is_boolean();
  return false;
}

class Converter : public SubschemaBuilder {
 public:
  Converter(const Schema& document, RuleSet& rules) : document_(document), rules_(rules) {}

  Status Run() {
    DefineJsonRules(rules_);
    rules_.SetRoot(RuleOf("#", document_));
    while (!waiting_.empty()) {
      const Waiting next = waiting_.front();
      waiting_.pop_front();
      TERN_ASSIGN_OR_RETURN(const ExprId body, Convert(*next.schema, next.pointer, 0));
      rules_.Define(next.rule, body);
      if (rules_.Full())
        return Fail(Code::kResourceExhausted, "schema: more than {} rules or {} elements",
                    kMaxRules, kMaxExprs);
    }
    return {};
  }

  /// Sub-schemas become rules and wait for their turn, so recursion in the schema is none here.
  ExprId Subschema(const Schema& schema, std::string_view pointer) override {
    if (schema.is_boolean() && schema == true) return rules_.Call("value");
    const RuleId rule = rules_.Unnamed(pointer);
    waiting_.push_back({rule, &schema, std::string(pointer)});
    return rules_.Call(rule);
  }

 private:
  struct Waiting {
    RuleId rule;
    const Schema* schema;
    std::string pointer;
  };

  /// The rule of what a reference leads to: one for all references to it.
  RuleId RuleOf(const std::string& pointer, const Schema& schema) {
    const auto [entry, fresh] = by_reference_.try_emplace(&schema, kNone);
    if (fresh) {
      entry->second = rules_.Unnamed(pointer);
      waiting_.push_back({entry->second, &schema, pointer});
    }
    return entry->second;
  }

  const Schema& Keep(Schema schema) { return kept_.emplace_back(std::move(schema)); }

  Status CheckKeywords(const Schema& schema, std::string_view pointer) const {
    for (const auto& [keyword, value] : schema.items()) {
      if (std::find(std::begin(kUnsupported), std::end(kUnsupported), keyword) !=
              std::end(kUnsupported) &&
          !AsksNothing(keyword, value))
        return SchemaError(Code::kUnsupported, Below(pointer, keyword),
                           "this keyword is not supported");
    }
    return {};
  }

  Result<ExprId> Convert(const Schema& schema, const std::string& pointer, int depth) {
    if (schema == true) return rules_.Call("value");
    if (schema == false)
      return SchemaError(Code::kUnsupported, pointer, "no document satisfies the schema false");
    if (!schema.is_object())
      return SchemaError(
          Code::kInvalidArgument, pointer,
          fmt::format("found {}, expected an object or a boolean", schema.type_name()));
    if (depth > kMaxNesting || ++conversions_ > kMaxRules)
      return SchemaError(Code::kResourceExhausted, pointer,
                         "the schema nests too deep or is too large when written out");
    TERN_TRY(CheckKeywords(schema, pointer));
    if (schema.contains("allOf")) return ConvertAllOf(schema, pointer, depth);
    if (schema.contains("$ref")) return ConvertRef(schema, pointer, depth);
    for (const char* keyword : {"anyOf", "oneOf"})
      if (schema.contains(keyword)) return ConvertAnyOf(schema, keyword, pointer, depth);
    if (schema.contains("const") || schema.contains("enum")) return ConvertValues(schema, pointer);
    return ConvertTypes(schema, pointer);
  }

  static bool HasAssertions(const Schema& schema) {
    for (const auto& [keyword, value] : schema.items())
      if (IsAssertion(keyword)) return true;
    return false;
  }

  Result<ExprId> ConvertAllOf(const Schema& schema, const std::string& pointer, int depth) {
    Schema merged = schema;
    const Schema parts = schema["allOf"];
    const std::string at = Below(pointer, "allOf");
    merged.erase("allOf");
    if (!parts.is_array() || parts.empty())
      return SchemaError(Code::kInvalidArgument, at, "expected a list of schemas");
    for (size_t i = 0; i < parts.size(); ++i)
      TERN_TRY(MergeSchema(merged, parts[i], Below(at, fmt::to_string(i))));
    return Convert(Keep(std::move(merged)), pointer, depth + 1);
  }

  Result<ExprId> ConvertRef(const Schema& schema, const std::string& pointer, int depth) {
    const std::string at = Below(pointer, "$ref");
    TERN_ASSIGN_OR_RETURN(const Schema* target, FollowRef(document_, schema["$ref"], at));
    Schema others = schema;
    const std::string name = schema["$ref"].get<std::string>();
    others.erase("$ref");
    if (!HasAssertions(others)) return rules_.Call(RuleOf(name, *target));
    TERN_TRY(MergeSchema(others, *target, at));
    return Convert(Keep(std::move(others)), pointer, depth + 1);
  }

  Result<ExprId> ConvertAnyOf(const Schema& schema, const char* keyword, const std::string& pointer,
                              int depth) {
    const std::string at = Below(pointer, keyword);
    const Schema& branches = schema[keyword];
    if (!branches.is_array() || branches.empty())
      return SchemaError(Code::kInvalidArgument, at, "expected a list of schemas");
    Schema others = schema;
    others.erase(keyword);
    const bool restricted = HasAssertions(others);
    std::vector<ExprId> choices;
    for (size_t i = 0; i < branches.size(); ++i) {
      const std::string branch = Below(at, fmt::to_string(i));
      if (!restricted) {
        choices.push_back(Subschema(branches[i], branch));
        continue;
      }
      Schema merged = others;
      TERN_TRY(MergeSchema(merged, branches[i], branch));
      TERN_ASSIGN_OR_RETURN(const ExprId choice,
                            Convert(Keep(std::move(merged)), branch, depth + 1));
      choices.push_back(choice);
    }
    return rules_.Choice(std::move(choices));
  }

  Result<ExprId> ConvertValues(const Schema& schema, const std::string& pointer) {
    for (const auto& [keyword, value] : schema.items())
      if (IsAssertion(keyword) && keyword != "const" && keyword != "enum" && keyword != "type" &&
          IsTypeKeyword(keyword))
        return SchemaError(Code::kUnsupported, Below(pointer, keyword),
                           "is not supported beside enum or const");
    Schema values = Schema::array();
    if (const auto found = schema.find("enum"); found != schema.end()) {
      if (!found->is_array())
        return SchemaError(Code::kInvalidArgument, Below(pointer, "enum"), "expected a list");
      values = *found;
    }
    if (const auto found = schema.find("const"); found != schema.end()) {
      const bool listed = !schema.contains("enum") ||
                          std::find(values.begin(), values.end(), *found) != values.end();
      values = listed ? Schema::array({*found}) : Schema::array();
    }
    TERN_ASSIGN_OR_RETURN(const std::vector<std::string> types, TypesOf(schema, pointer));
    std::vector<ExprId> choices;
    for (const Schema& value : values) {
      const bool fits = std::any_of(types.begin(), types.end(), [&value](const std::string& type) {
        return HasType(value, type);
      });
      if (!types.empty() && !fits) continue;
      const std::string text = value.dump();
      if (text.size() > kMaxValueBytes)
        return SchemaError(Code::kResourceExhausted, pointer,
                           fmt::format("a value of more than {} bytes", kMaxValueBytes));
      choices.push_back(rules_.Bytes(text));
    }
    if (choices.empty())
      return SchemaError(Code::kInvalidArgument, pointer, "no value satisfies this schema");
    return rules_.Choice(std::move(choices));
  }

  Result<ExprId> ConvertTypes(const Schema& schema, const std::string& pointer) {
    TERN_ASSIGN_OR_RETURN(std::vector<std::string> types, TypesOf(schema, pointer));
    if (types.empty()) types = ImpliedTypes(schema);
    if (types.empty()) return rules_.Call("value");
    std::vector<ExprId> choices;
    for (const std::string& type : types) {
      TERN_ASSIGN_OR_RETURN(const ExprId choice, ConvertType(type, schema, pointer, rules_, *this));
      choices.push_back(choice);
    }
    return rules_.Choice(std::move(choices));
  }

  const Schema& document_;
  RuleSet& rules_;
  std::deque<Waiting> waiting_;
  std::deque<Schema> kept_;  // schemas that merging made
  std::map<const Schema*, RuleId> by_reference_;
  size_t conversions_ = 0;
};

}  // namespace

Status ParseJsonSchema(std::string_view text, RuleSet& rules) {
  TERN_ASSIGN_OR_RETURN(const Schema document, ReadSchema(text));
  try {
    return Converter(document, rules).Run();
  } catch (const std::exception& e) {  // nlohmann's accessors; every use is checked before
    return Fail(Code::kInternal, "schema: {}", e.what());
  }
}

}  // namespace tern::grammar
