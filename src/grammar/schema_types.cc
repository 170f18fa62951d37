#include "grammar/schema_types.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "grammar/json_rules.h"
#include "grammar/limits.h"
#include "tokenizer/utf8.h"

namespace tern::grammar {
namespace {

constexpr std::string_view kTypes[] = {"object", "array",   "string", "integer",
                                       "number", "boolean", "null"};

struct TypeKeyword {
  std::string_view keyword, type;
};
constexpr TypeKeyword kTypeKeywords[] = {
    {"properties", "object"}, {"required", "object"},         {"additionalProperties", "object"},
    {"items", "array"},       {"prefixItems", "array"},       {"minItems", "array"},
    {"maxItems", "array"},    {"pattern", "string"},          {"minLength", "string"},
    {"maxLength", "string"},  {"format", "string"},           {"minimum", "number"},
    {"maximum", "number"},    {"exclusiveMinimum", "number"}, {"exclusiveMaximum", "number"}};

constexpr int64_t kMost = 999'999'999'999'999'999;  // 18 digits

class TypeConverter {
 public:
  TypeConverter(const Schema& schema, std::string_view pointer, RuleSet& rules,
                SubschemaBuilder& builder)
      : schema_(schema), pointer_(pointer), rules_(rules), builder_(builder) {}

  Result<ExprId> Run(std::string_view type) {
    if (type == "object") return Object();
    if (type == "array") return Array();
    if (type == "string") return String();
    if (type == "integer") return Number(true);
    if (type == "number") return Number(false);
    return rules_.Call(type);
  }

 private:
  const Schema* Find(const char* keyword) const {
    const auto found = schema_.find(keyword);
    return found == schema_.end() ? nullptr : &*found;
  }
  std::string At(std::string_view keyword) const { return Below(pointer_, keyword); }
  ExprId Space() { return rules_.Call("ws"); }

  /// A count: minItems and the like.
  Result<uint32_t> Count(const char* keyword, uint32_t fallback) {
    const Schema* value = Find(keyword);
    if (value == nullptr) return fallback;
    if (!value->is_number() || value->get<double>() < 0 ||
        value->get<double>() != std::floor(value->get<double>()))
      return SchemaError(Code::kInvalidArgument, At(keyword), "expected a whole number from 0");
    if (value->get<double>() > kMaxRepeat)
      return SchemaError(Code::kUnsupported, At(keyword),
                         fmt::format("expected at most {}", kMaxRepeat));
    return value->get<uint32_t>();
  }

  ExprId Member(ExprId key, ExprId value) {
    return rules_.Sequence({key, rules_.Bytes(":"), Space(), value});
  }

  // --- Objects

  Result<ExprId> Object() {
    std::vector<std::string> names;
    std::vector<const Schema*> schemas;
    if (const Schema* properties = Find("properties")) {
      if (!properties->is_object())
        return SchemaError(Code::kInvalidArgument, At("properties"), "expected an object");
      for (const auto& [name, schema] : properties->items()) {
        names.push_back(name);
        schemas.push_back(&schema);
      }
    }
    const size_t described = names.size();
    static const Schema kAnything(true);
    const Schema* others = Find("additionalProperties");
    const bool closed = others != nullptr ? *others == false : described > 0;
    if (others == nullptr) others = &kAnything;
    std::vector<bool> required(names.size());
    TERN_TRY(ReadRequired(names, required));
    if (names.size() > kMaxMembers)
      return SchemaError(Code::kResourceExhausted, pointer_,
                         fmt::format("more than {} members", kMaxMembers));

    std::vector<ExprId> members;
    for (size_t i = 0; i < names.size(); ++i) {
      if (names[i].size() > kMaxValueBytes / 4)
        return SchemaError(Code::kResourceExhausted, pointer_,
                           fmt::format("a name of more than {} bytes", kMaxValueBytes / 4));
      // Required and not described: additionalProperties says what it is.
      const bool is_described = i < described;
      if (!is_described && *others == false)
        return SchemaError(
            Code::kInvalidArgument, At("required"),
            fmt::format("'{}' is required, but no property may have that name", names[i]));
      const ExprId value = builder_.Subschema(
          is_described ? *schemas[i] : *others,
          is_described ? Below(At("properties"), names[i]) : At("additionalProperties"));
      members.push_back(Member(rules_.Bytes(Schema(names[i]).dump()), value));
    }
    ExprId tail = kNone;
    if (!closed)
      tail = Member(OtherKey(names), builder_.Subschema(*others, At("additionalProperties")));
    const ExprId separator = rules_.Sequence({rules_.Bytes(","), Space()});
    return rules_.Sequence(
        {rules_.Bytes("{"), Space(),
         rules_.Members(std::move(members), std::move(required), separator, tail), Space(),
         rules_.Bytes("}")});
  }

  /// Marks the required names and adds those without a description.
  Status ReadRequired(std::vector<std::string>& names, std::vector<bool>& required) {
    const Schema* list = Find("required");
    if (list == nullptr) return {};
    const auto wrong = [this] {
      return SchemaError(Code::kInvalidArgument, At("required"), "expected a list of names");
    };
    if (!list->is_array()) return wrong();
    std::map<std::string, size_t> index;
    for (size_t i = 0; i < names.size(); ++i) index.emplace(names[i], i);
    for (const Schema& name : *list) {
      if (!name.is_string()) return wrong();
      const auto [entry, fresh] = index.try_emplace(name.get<std::string>(), names.size());
      if (fresh) {
        names.push_back(entry->first);
        required.push_back(true);
      } else {
        required[entry->second] = true;
      }
    }
    return {};
  }

  /// Any key but these, with its quotes.
  ExprId OtherKey(std::vector<std::string> names) {
    if (names.empty()) return rules_.Call("string");
    std::sort(names.begin(), names.end());
    std::vector<std::string_view> views(names.begin(), names.end());
    return rules_.Sequence({rules_.Bytes("\""), KeyRest(views, 0)});
  }

  /// What may stand behind the first `at` bytes, which all of the (sorted) names share.
  ExprId KeyRest(std::span<const std::string_view> names, size_t at) {
    std::vector<ExprId> choices;
    if (!names.empty() && names[0].size() == at) {
      names = names.subspan(1);
    } else {
      choices.push_back(rules_.Bytes("\""));
    }
    Ranges used;
    for (size_t i = 0; i < names.size();) {
      const Utf8Step step = NextUtf8(names[i].substr(at));
      const std::string_view bytes = names[i].substr(at, step.length);
      size_t end = i + 1;
      while (end < names.size() && names[end].substr(at, step.length) == bytes) ++end;
      const Range one = {step.code_point, step.code_point};
      used.push_back(one);
      choices.push_back(rules_.Sequence(
          {JsonChar(rules_, {one}), KeyRest(names.subspan(i, end - i), at + step.length)}));
      i = end;
    }
    choices.push_back(rules_.Sequence(
        {JsonChar(rules_, Complement(Normalized(std::move(used)))), rules_.Call("string-rest")}));
    return rules_.Choice(std::move(choices));
  }

  // --- Arrays

  Result<ExprId> Array() {
    TERN_ASSIGN_OR_RETURN(const uint32_t min, Count("minItems", 0));
    TERN_ASSIGN_OR_RETURN(uint32_t max, Count("maxItems", kNone));
    if (max < min)
      return SchemaError(Code::kInvalidArgument, At("maxItems"), "is less than minItems");
    std::vector<ExprId> prefix;
    if (const Schema* list = Find("prefixItems")) {
      if (!list->is_array())
        return SchemaError(Code::kInvalidArgument, At("prefixItems"), "expected a list");
      if (list->size() > 4 * static_cast<size_t>(kMaxNesting))
        return SchemaError(Code::kUnsupported, At("prefixItems"),
                           fmt::format("expected at most {} schemas", 4 * kMaxNesting));
      for (size_t i = 0; i < list->size(); ++i)
        prefix.push_back(
            builder_.Subschema((*list)[i], Below(At("prefixItems"), fmt::to_string(i))));
    }
    const Schema* items = Find("items");
    if (items != nullptr && items->is_array())
      return SchemaError(Code::kUnsupported, At("items"),
                         "found a list, expected a schema; lists are named prefixItems");
    // Like properties: where some are named, there are no others unless the schema says so.
    const auto named = static_cast<uint32_t>(prefix.size());
    if ((items == nullptr && named > 0) || (items != nullptr && *items == false))
      max = std::min(max, named);
    if (max < min)
      return SchemaError(Code::kUnsupported, At("minItems"),
                         "asks for more items than prefixItems describes");
    std::optional<ExprId> item;
    if (max > named)
      item = items == nullptr ? rules_.Call("value") : builder_.Subschema(*items, At("items"));
    const ExprId body = Items(prefix, item, min, max);
    return rules_.Sequence({rules_.Bytes("["), Space(), body, rules_.Bytes("]")});
  }

  /// prefix, then min to max in all of `item`, with separators; blanks behind the last.
  ExprId Items(const std::vector<ExprId>& prefix, std::optional<ExprId> item, uint32_t min,
               uint32_t max) {
    if (max == 0) return rules_.Empty();
    const auto named = static_cast<uint32_t>(prefix.size());
    const ExprId separator = rules_.Sequence({rules_.Bytes(","), Space()});
    const auto more = [&](uint32_t from) {  // behind `from` >= 1 items that are there
      const uint32_t least = min > from ? min - from : 0;
      return rules_.Repeat(rules_.Sequence({separator, *item}), least,
                           max == kNone ? kNone : max - from);
    };
    ExprId body = kNone;  // from the item at hand to the last
    if (prefix.empty()) {
      body = rules_.Sequence({*item, more(1)});
    } else {
      ExprId rest = item && max > named ? more(named) : rules_.Empty();
      for (uint32_t i = std::min(named, max); i-- > 0;) {
        if (i + 1 < min || i == 0) {
          rest = rules_.Sequence({i > 0 ? separator : rules_.Empty(), prefix[i], rest});
        } else {
          rest = rules_.Optional(rules_.Sequence({separator, prefix[i], rest}));
        }
      }
      body = rest;
    }
    body = rules_.Sequence({body, Space()});
    return min == 0 ? rules_.Optional(body) : body;
  }

  // --- Strings

  Result<ExprId> String() {
    TERN_ASSIGN_OR_RETURN(const uint32_t min, Count("minLength", 0));
    TERN_ASSIGN_OR_RETURN(const uint32_t max, Count("maxLength", kNone));
    if (max < min)
      return SchemaError(Code::kInvalidArgument, At("maxLength"), "is less than minLength");
    const bool bounded = min > 0 || max != kNone;
    const Schema* pattern = Find("pattern");
    const Schema* format = Find("format");
    std::string_view known;
    for (const std::string_view name : {"date", "time", "date-time", "uuid"})
      if (format != nullptr && *format == name) known = name;
    if ((pattern != nullptr) + !known.empty() + bounded > 1)
      return SchemaError(Code::kUnsupported, pointer_,
                         "pattern, format and length bounds are not supported together");
    if (!known.empty()) return rules_.Call(known);
    if (pattern != nullptr) {
      if (!pattern->is_string())
        return SchemaError(Code::kInvalidArgument, At("pattern"), "expected a string");
      auto parsed = ParsePattern(pattern->get_ref<const std::string&>(), rules_);
      if (!parsed) return SchemaError(parsed.error().code, At("pattern"), parsed.error().message);
      return *parsed;
    }
    if (!bounded) return rules_.Call("string");
    return rules_.Sequence(
        {rules_.Bytes("\""), rules_.Repeat(rules_.Call("char"), min, max), rules_.Bytes("\"")});
  }

  // --- Numbers

  /// A whole bound, `step` further in for an exclusive one.
  Result<std::optional<int64_t>> Bound(const char* keyword, bool integer, int64_t step) {
    const Schema* value = Find(keyword);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number())
      return SchemaError(Code::kUnsupported, At(keyword), "expected a number");
    double bound = value->get<double>();
    const bool lower = std::string_view(keyword).ends_with("inimum");
    const double whole = lower ? std::ceil(bound) : std::floor(bound);
    if (!integer && (whole != bound || step != 0))
      return SchemaError(Code::kUnsupported, At(keyword),
                         "numbers are held to whole and inclusive bounds only");
    if (whole != bound) step = 0;  // rounding has gone past the bound already
    if (std::abs(whole) >= static_cast<double>(kMost)) return whole > 0 ? kMost : -kMost;
    return static_cast<int64_t>(whole) + step;
  }

  Result<ExprId> Number(bool integer) {
    int64_t low = -kMost, high = kMost;
    bool bounded = false;
    struct Row {
      const char* keyword;
      int64_t step;
    };
    for (const Row row : {Row{"minimum", 0}, Row{"exclusiveMinimum", 1}, Row{"maximum", 0},
                          Row{"exclusiveMaximum", -1}}) {
      TERN_ASSIGN_OR_RETURN(const std::optional<int64_t> bound,
                            Bound(row.keyword, integer, row.step));
      if (!bound) continue;
      bounded = true;
      if (std::string_view(row.keyword).ends_with("inimum")) {
        low = std::max(low, *bound);
      } else {
        high = std::min(high, *bound);
      }
    }
    if (!bounded) return rules_.Call(integer ? "integer" : "number");
    if (low > high)
      return SchemaError(Code::kInvalidArgument, pointer_, "no number is within the bounds");
    std::vector<ExprId> choices;
    if (high >= 0)
      choices.push_back(Magnitude(static_cast<uint64_t>(std::max<int64_t>(low, 0)),
                                  static_cast<uint64_t>(high), integer));
    if (low < 0)
      choices.push_back(rules_.Sequence(
          {rules_.Bytes("-"), Magnitude(static_cast<uint64_t>(-std::min<int64_t>(high, 0)),
                                        static_cast<uint64_t>(-low), integer)}));
    return rules_.Choice(std::move(choices));
  }

  /// Numerals from low to high; with fractions that stay below high.
  ExprId Magnitude(uint64_t low, uint64_t high, bool integer) {
    if (integer) return Digits(rules_, low, high);
    const ExprId digit = rules_.Class({{U'0', U'9'}}), zero = rules_.Bytes("0");
    const auto fraction = [&](ExprId of) {
      return rules_.Optional(rules_.Sequence({rules_.Bytes("."), rules_.Repeat(of, 1, 20)}));
    };
    std::vector<ExprId> choices = {rules_.Sequence({Digits(rules_, high, high), fraction(zero)})};
    if (low < high)
      choices.push_back(rules_.Sequence({Digits(rules_, low, high - 1), fraction(digit)}));
    return rules_.Choice(std::move(choices));
  }

  const Schema& schema_;
  const std::string_view pointer_;
  RuleSet& rules_;
  SubschemaBuilder& builder_;
};

}  // namespace

Result<std::vector<std::string>> TypesOf(const Schema& schema, std::string_view pointer) {
  std::vector<std::string> out;
  const auto found = schema.find("type");
  if (found == schema.end()) return out;
  const Schema list = found->is_array() ? *found : Schema::array({*found});
  for (const Schema& type : list) {
    const bool known =
        type.is_string() && std::find(std::begin(kTypes), std::end(kTypes),
                                      type.get_ref<const std::string&>()) != std::end(kTypes);
    if (!known)
      return SchemaError(Code::kInvalidArgument, Below(pointer, "type"),
                         "expected object, array, string, integer, number, boolean or null");
    out.push_back(type.get<std::string>());
  }
  if (out.empty())
    return SchemaError(Code::kInvalidArgument, Below(pointer, "type"), "found an empty list");
  return out;
}

std::vector<std::string> ImpliedTypes(const Schema& schema) {
  std::vector<std::string> out;
  for (const TypeKeyword& row : kTypeKeywords)
    if (schema.contains(row.keyword) && std::find(out.begin(), out.end(), row.type) == out.end())
      out.emplace_back(row.type);
  return out;
}

bool IsTypeKeyword(std::string_view keyword) {
  return std::any_of(std::begin(kTypeKeywords), std::end(kTypeKeywords),
                     [keyword](const TypeKeyword& row) { return row.keyword == keyword; });
}

bool HasType(const Schema& value, std::string_view type) {
  if (type == "number") return value.is_number();
  if (type == "integer")
    return value.is_number_integer() ||
           (value.is_number_float() && value.get<double>() == std::floor(value.get<double>()));
  return value.type_name() == type;
}

Result<ExprId> ConvertType(std::string_view type, const Schema& schema, std::string_view pointer,
                           RuleSet& rules, SubschemaBuilder& builder) {
  return TypeConverter(schema, pointer, rules, builder).Run(type);
}

}  // namespace tern::grammar
