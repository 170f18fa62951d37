// Tests: "value is name".
#include <algorithm>
#include <array>

#include "jinja/interpreter.h"
#include "jinja/names.h"

namespace tern::jinja {
namespace {

using Predicate = bool (*)(const Value& value);

struct Row {
  std::string_view name;
  Predicate holds;
};

bool Is(const Value& value, bool truth) {
  const bool* found = std::get_if<bool>(&value);
  return found != nullptr && *found == truth;
}
bool IsSequence(const Value& value) {
  return AsText(value) != nullptr || AsList(value) != nullptr || AsDict(value) != nullptr ||
         IsUndefined(value);
}
bool IsNumber(const Value& value) {
  double number = 0;
  return AsNumber(value, &number);
}

/// The tests without an argument.
constexpr Row kTests[] = {
    {"defined", [](const Value& value) { return !IsUndefined(value); }},
    {"undefined", IsUndefined},
    {"none", IsNone},
    {"string", [](const Value& value) { return AsText(value) != nullptr; }},
    {"mapping", [](const Value& value) { return AsDict(value) != nullptr; }},
    {"sequence", IsSequence},
    {"iterable", IsSequence},
    {"number", IsNumber},
    {"integer", [](const Value& value) { return std::holds_alternative<int64_t>(value); }},
    {"float", [](const Value& value) { return std::holds_alternative<double>(value); }},
    {"boolean", [](const Value& value) { return std::holds_alternative<bool>(value); }},
    {"true", [](const Value& value) { return Is(value, true); }},
    {"false", [](const Value& value) { return Is(value, false); }},
    {"callable",
     [](const Value& value) {
       return std::holds_alternative<std::shared_ptr<const Callable>>(value);
     }},
};

struct Comparison {
  std::string_view name;
  std::string_view op;
};

constexpr Comparison kComparisons[] = {
    {"eq", "=="}, {"equalto", "=="},    {"ne", "!="}, {"lt", "<"},  {"lessthan", "<"}, {"le", "<="},
    {"gt", ">"},  {"greaterthan", ">"}, {"ge", ">="}, {"in", "in"}, {"==", "=="},      {"!=", "!="},
    {"<", "<"},   {"<=", "<="},         {">", ">"},   {">=", ">="}};

constexpr std::array<std::string_view, 3> kInteger = {"odd", "even", "divisibleby"};

template <class Rows>
const auto* FindRow(const Rows& rows, std::string_view name) {
  const auto* found = std::find_if(std::begin(rows), std::end(rows),
                                   [name](const auto& row) { return row.name == name; });
  return found == std::end(rows) ? nullptr : found;
}

}  // namespace

bool IsTest(std::string_view name) {
  return FindRow(kTests, name) != nullptr || FindRow(kComparisons, name) != nullptr ||
         std::find(kInteger.begin(), kInteger.end(), name) != kInteger.end();
}

Result<bool> Interpreter::Test(const std::string& name, const Value& value,
                               const Arguments& arguments) {
  const Row* plain = FindRow(kTests, name);
  const bool wants_one = plain == nullptr && name != "odd" && name != "even";
  TERN_TRY(arguments.Check(wants_one ? 1 : 0, {}));
  if (plain != nullptr) return plain->holds(value);
  if (wants_one && arguments.values.empty())
    return Fail(Code::kCorrupt, "the test {} without an argument", name);
  if (const Comparison* row = FindRow(kComparisons, name))
    return CompareTwo(std::string(row->op), value, arguments.values[0]);
  int64_t number = 0;
  int64_t divisor = 2;
  if (!AsInteger(value, &number) || (wants_one && !AsInteger(arguments.values[0], &divisor)))
    return Fail(Code::kCorrupt, "the test {} of {}", name, TypeName(value));
  if (divisor == 0) return Fail(Code::kCorrupt, "division by zero");
  const bool divisible = divisor == -1 || number % divisor == 0;
  return divisible != (name == "odd");
}

}  // namespace tern::jinja
