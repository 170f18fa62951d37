// Filters.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "jinja/interpreter.h"
#include "jinja/names.h"

namespace tern::jinja {
namespace {

constexpr std::array<std::string_view, 30> kFilters = {
    "abs",   "capitalize", "count",  "d",          "default", "dictsort", "first", "float",
    "int",   "items",      "join",   "last",       "length",  "list",     "lower", "map",
    "max",   "min",        "reject", "rejectattr", "replace", "reverse",  "safe",  "select",
    "title", "selectattr", "string", "tojson",     "trim",    "upper"};

Value TextOf(Text text) { return MakeText(std::move(text)); }

/// Python's int() and float() of text, with `fallback` for what is no number.
template <class Number>
Value Parsed(const Text& text, Value fallback) {
  const Text stripped = Strip(text, true, true);
  const char* begin = stripped.bytes().data();
  const char* end = begin + stripped.size();
  if (begin != end && *begin == '+') ++begin;
  Number number = 0;
  const auto [stop, ec] = std::from_chars(begin, end, number);
  if (ec == std::errc() && stop == end && begin != end) return number;
  return fallback;
}

Value ToInteger(const Value& value, Value fallback) {
  int64_t integer = 0;
  if (AsInteger(value, &integer)) return integer;
  const Value text_value = value;
  double number = 0;
  if (const Text* text = AsText(text_value)) {
    const Value whole = Parsed<int64_t>(*text, None{});
    if (!IsNone(whole)) return whole;
    if (!AsNumber(Parsed<double>(*text, None{}), &number)) return fallback;
  } else if (!AsNumber(value, &number)) {
    return fallback;
  }
  if (!(std::abs(number) < 9e18)) return fallback;
  return static_cast<int64_t>(number);
}

Value ToFloat(const Value& value, Value fallback) {
  double number = 0;
  if (AsNumber(value, &number)) return number;
  if (const Text* text = AsText(value)) return Parsed<double>(*text, std::move(fallback));
  return fallback;
}

Result<Value> Absolute(const Value& value) {
  int64_t integer = 0;
  if (AsInteger(value, &integer) && integer > INT64_MIN) return integer < 0 ? -integer : integer;
  double number = 0;
  if (!AsNumber(value, &number)) return Fail(Code::kCorrupt, "abs of {}", TypeName(value));
  return std::abs(number);
}

Result<Value> Pairs(const Value& value, bool sorted) {
  if (IsUndefined(value)) return MakeList({});
  const Dict* dict = AsDict(value);
  if (dict == nullptr) return Fail(Code::kCorrupt, "the items of {}", TypeName(value));
  if (!sorted) return CallDictMethod("items", *dict, {});
  // As jinja2: keys compare without regard to case, equal ones keep their order.
  Dict copy = *dict;
  std::stable_sort(copy.entries.begin(), copy.entries.end(), [](const auto& a, const auto& b) {
    return Lower(a.first).bytes() < Lower(b.first).bytes();
  });
  return CallDictMethod("items", copy, {});
}

Result<Value> Reversed(const Value& value) {
  TERN_ASSIGN_OR_RETURN(std::vector<Value> items, Items(value));
  std::reverse(items.begin(), items.end());
  if (AsText(value) == nullptr) return MakeList(std::move(items));
  Text out;
  for (const Value& item : items) out.Append(*AsText(item));
  return TextOf(std::move(out));
}

Result<Value> Extreme(const Value& value, bool largest) {
  TERN_ASSIGN_OR_RETURN(const std::vector<Value> items, Items(value));
  Value best = Undefined{"the extreme of nothing"};
  for (const Value& item : items) {
    if (IsUndefined(best)) {
      best = item;
      continue;
    }
    TERN_ASSIGN_OR_RETURN(const bool better, largest ? Less(best, item) : Less(item, best));
    if (better) best = item;
  }
  return best;
}

Result<Value> End(const Value& value, bool first) {
  TERN_ASSIGN_OR_RETURN(const std::vector<Value> items, Items(value));
  if (items.empty()) return Undefined{first ? "the first of nothing" : "the last of nothing"};
  return first ? items.front() : items.back();
}

Result<Value> JsonOf(const Value& value, const Arguments& arguments) {
  TERN_TRY(arguments.Check(0, {"ensure_ascii", "indent", "separators", "sort_keys"}));
  JsonStyle style;
  for (const auto& [name, option] : arguments.named) {
    const List* pair = AsList(option);
    if (name == "indent" && !IsNone(option)) {
      if (!AsInteger(option, &style.indent) || style.indent > 16)
        return Fail(Code::kUnsupported, "an indent other than 0 to 16 is not supported");
      style.item_separator = ",";
    } else if (name == "sort_keys") {
      style.sort_keys = Truth(option);
    } else if (name == "ensure_ascii" && Truth(option)) {
      return Fail(Code::kUnsupported, "ensure_ascii is not supported");
    } else if (name == "separators" && pair != nullptr && pair->items.size() == 2) {
      style.item_separator = Str(pair->items[0]).bytes();
      style.key_separator = Str(pair->items[1]).bytes();
    }
  }
  TERN_ASSIGN_OR_RETURN(Text json, ToJson(value, style));
  return TextOf(std::move(json));
}

Result<Value> ReplaceIn(const Value& value, const Arguments& arguments) {
  return CallTextMethod("replace", Str(value), arguments);
}

Result<Value> DefaultOf(const Value& value, const Arguments& arguments) {
  TERN_TRY(arguments.Check(2, {"default_value", "boolean"}));
  const Value* fallback = arguments.Find(0, "default_value");
  const Value* boolean = arguments.Find(1, "boolean");
  const bool missing =
      IsUndefined(value) || (boolean != nullptr && Truth(*boolean) && !Truth(value));
  if (!missing) return value;
  return fallback == nullptr ? TemplateText("") : *fallback;
}

Result<Value> Trimmed(const Value& value, const Arguments& arguments) {
  TERN_TRY(arguments.Check(1, {"chars"}));
  const Value* set = arguments.Find(0, "chars");
  const Text* text = set == nullptr ? nullptr : AsText(*set);
  return TextOf(Strip(Str(value), true, true, text == nullptr ? nullptr : &text->bytes()));
}

}  // namespace

bool IsFilter(std::string_view name) {
  return std::find(kFilters.begin(), kFilters.end(), name) != kFilters.end();
}

Result<Value> Interpreter::Filter(const std::string& name, const Value& value,
                                  const Arguments& arguments) {
  TERN_TRY(Spend(Extent(value)));
  if (name == "default" || name == "d") return DefaultOf(value, arguments);
  if (name == "tojson") {
    TERN_ASSIGN_OR_RETURN(Value json, JsonOf(value, arguments));
    TERN_TRY(Spend(Extent(json)));
    return json;
  }
  if (name == "trim") return Trimmed(value, arguments);
  if (name == "replace") {
    TERN_ASSIGN_OR_RETURN(Value text, ReplaceIn(value, arguments));
    TERN_TRY(Spend(Extent(text)));
    return text;
  }
  if (name == "join") return Join(value, arguments);
  if (name == "map") return Map(value, arguments);
  if (name == "select" || name == "reject")
    return Select(value, arguments, false, name == "select");
  if (name == "selectattr" || name == "rejectattr")
    return Select(value, arguments, true, name == "selectattr");
  if (name == "int" || name == "float") {
    TERN_TRY(arguments.Check(1, {"default"}));
    const Value* given = arguments.Find(0, "default");
    if (name == "int") return ToInteger(value, given == nullptr ? Value(int64_t{0}) : *given);
    return ToFloat(value, given == nullptr ? Value(0.0) : *given);
  }

  TERN_TRY(arguments.Check(0, {}));
  if (name == "length" || name == "count") return Length(value);
  if (name == "upper") return TextOf(Upper(Str(value)));
  if (name == "lower") return TextOf(Lower(Str(value)));
  if (name == "title") return TextOf(TitleWords(Str(value)));
  if (name == "capitalize") return TextOf(Capitalize(Str(value)));
  if (name == "string") return TextOf(Str(value));
  if (name == "safe") return value;  // nothing is escaped here
  if (name == "abs") return Absolute(value);
  if (name == "items" || name == "dictsort") return Pairs(value, name == "dictsort");
  if (name == "reverse") return Reversed(value);
  if (name == "max" || name == "min") return Extreme(value, name == "max");
  if (name == "first" || name == "last") return End(value, name == "first");
  TERN_ASSIGN_OR_RETURN(std::vector<Value> items, Items(value));
  return MakeList(std::move(items));
}

/// jinja2's attribute argument: "a", "a.b", or an index.
Result<Value> Interpreter::MemberAt(const Value& value, const Value& path) {
  const Text* text = AsText(path);
  if (text == nullptr) return Index(value, path);
  Value member = value;
  for (const Text& name : Split(*text, ".", -1)) {
    const Value key = Parsed<int64_t>(name, MakeText(name));
    TERN_ASSIGN_OR_RETURN(member, Index(member, key));
  }
  return member;
}

Result<Value> Interpreter::Join(const Value& value, const Arguments& arguments) {
  TERN_TRY(arguments.Check(2, {"d", "attribute"}));
  const Value* separator = arguments.Find(0, "d");
  const Value* attribute = arguments.Find(1, "attribute");
  const Text between = separator == nullptr ? Text() : Str(*separator);
  TERN_ASSIGN_OR_RETURN(const std::vector<Value> items, Items(value));
  Text out;
  for (size_t i = 0; i < items.size(); ++i) {
    Value item = items[i];
    if (attribute != nullptr && !IsNone(*attribute)) {
      TERN_ASSIGN_OR_RETURN(item, MemberAt(item, *attribute));
    }
    if (i > 0) out.Append(between);
    const Text text = Str(item);
    TERN_TRY(Spend(static_cast<int64_t>(between.size() + text.size())));
    out.Append(text);
  }
  return TextOf(std::move(out));
}

Result<Value> Interpreter::Map(const Value& value, const Arguments& arguments) {
  TERN_ASSIGN_OR_RETURN(std::vector<Value> items, Items(value));
  Arguments rest = arguments;
  std::string filter;
  if (!rest.values.empty()) {
    const Text* name = AsText(rest.values[0]);
    if (name == nullptr || !IsFilter(name->bytes()))
      return Fail(Code::kUnsupported, "map with this filter is not supported");
    filter = name->bytes();
    rest.values.erase(rest.values.begin());
  } else {
    TERN_TRY(rest.Check(0, {"attribute", "default"}));
  }
  const Value* attribute = arguments.Find(SIZE_MAX, "attribute");
  const Value* fallback = arguments.Find(SIZE_MAX, "default");
  if (filter.empty() && attribute == nullptr)
    return Fail(Code::kCorrupt, "map without a filter or an attribute");
  for (Value& item : items) {
    TERN_TRY(Enter());  // filters of filters: map('map', ...)
    auto mapped = filter.empty() ? MemberAt(item, *attribute) : Filter(filter, item, rest);
    --depth_;
    if (!mapped) return mapped;
    item = std::move(*mapped);
    if (filter.empty() && fallback != nullptr && IsUndefined(item)) item = *fallback;
  }
  return MakeList(std::move(items));
}

Result<Value> Interpreter::Select(const Value& value, Arguments arguments, bool by_attribute,
                                  bool keep) {
  TERN_ASSIGN_OR_RETURN(const std::vector<Value> items, Items(value));
  const auto take = [&arguments] {
    Value first = arguments.values[0];
    arguments.values.erase(arguments.values.begin());
    return first;
  };
  Value attribute = None{};
  if (by_attribute) {
    if (arguments.values.empty()) return Fail(Code::kCorrupt, "an attribute is missing");
    attribute = take();
  }
  std::string test;
  if (!arguments.values.empty()) {
    const Value name = take();
    if (AsText(name) == nullptr || !IsTest(AsText(name)->bytes()))
      return Fail(Code::kUnsupported, "selection by this test is not supported");
    test = AsText(name)->bytes();
  }
  std::vector<Value> selected;
  for (const Value& item : items) {
    TERN_TRY(Spend(1));
    Value subject = item;
    if (by_attribute) {
      TERN_ASSIGN_OR_RETURN(subject, MemberAt(item, attribute));
    }
    bool holds = Truth(subject);
    if (!test.empty()) {
      TERN_ASSIGN_OR_RETURN(holds, Test(test, subject, arguments));
    }
    if (holds == keep) selected.push_back(item);
  }
  return MakeList(std::move(selected));
}

}  // namespace tern::jinja
