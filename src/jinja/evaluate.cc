// Expressions.
#include <algorithm>
#include <cmath>

#include "jinja/interpreter.h"

namespace tern::jinja {
namespace {

/// Python's rule for one bound of a slice.
int64_t SliceBound(int64_t bound, int64_t size, int64_t lowest, int64_t highest) {
  if (bound < 0) bound = bound < -size ? lowest : bound + size;
  return std::clamp(bound, lowest, highest);
}

}  // namespace

Result<Value> Interpreter::Evaluate(const Expression& expression) {
  Result<Value> value = Undefined{};
  if (Status entered = Enter(); entered) {
    value = EvaluateKind(expression);
    --depth_;
  } else {
    value = tl::unexpected(std::move(entered.error()));
  }
  if (!value && !value.error().message.starts_with("line "))
    return Within(fmt::format("line {}", expression.line), std::move(value.error()));
  return value;
}

Result<std::vector<Value>> Interpreter::EvaluateAll(std::span<const ExpressionPtr> expressions) {
  std::vector<Value> values;
  for (const ExpressionPtr& expression : expressions) {
    TERN_ASSIGN_OR_RETURN(Value value, Evaluate(*expression));
    values.push_back(std::move(value));
  }
  return values;
}

Result<Arguments> Interpreter::EvaluateArguments(const Expression& call) {
  Arguments arguments;
  TERN_ASSIGN_OR_RETURN(arguments.values, EvaluateAll(call.arguments));
  for (const auto& [name, expression] : call.named) {
    TERN_ASSIGN_OR_RETURN(Value value, Evaluate(*expression));
    arguments.named.emplace_back(name, std::move(value));
  }
  return arguments;
}

Result<Value> Interpreter::EvaluateKind(const Expression& expression) {
  switch (expression.kind) {
    case ExpressionKind::kConstant:
      return expression.value;
    case ExpressionKind::kName:
      return Lookup(expression.text);
    case ExpressionKind::kList:
    case ExpressionKind::kTuple: {
      TERN_ASSIGN_OR_RETURN(std::vector<Value> items, EvaluateAll(expression.children));
      return MakeList(std::move(items), expression.kind == ExpressionKind::kTuple);
    }
    case ExpressionKind::kDict:
      return DictOf(expression);
    case ExpressionKind::kUnary:
      return Unary(expression);
    case ExpressionKind::kBinary:
      return Binary(expression);
    case ExpressionKind::kCompare:
      return Compare(expression);
    case ExpressionKind::kChoice: {
      TERN_ASSIGN_OR_RETURN(const Value condition, Evaluate(*expression.children[0]));
      const ExpressionPtr& chosen = expression.children[Truth(condition) ? 1 : 2];
      if (chosen == nullptr) return Undefined{"an if without else"};
      return Evaluate(*chosen);
    }
    case ExpressionKind::kAttribute: {
      TERN_ASSIGN_OR_RETURN(const Value object, Evaluate(*expression.children[0]));
      return Attribute(object, expression.text);
    }
    case ExpressionKind::kIndex: {
      TERN_ASSIGN_OR_RETURN(const Value object, Evaluate(*expression.children[0]));
      TERN_ASSIGN_OR_RETURN(const Value key, Evaluate(*expression.children[1]));
      return Index(object, key);
    }
    case ExpressionKind::kSlice:
      return Slice(expression);
    case ExpressionKind::kCall: {
      TERN_ASSIGN_OR_RETURN(const Value callee, Evaluate(*expression.children[0]));
      TERN_ASSIGN_OR_RETURN(const Arguments arguments, EvaluateArguments(expression));
      return Call(callee, arguments);
    }
    case ExpressionKind::kFilter: {
      Value value = set_body_;
      if (expression.children[0] != nullptr) {
        TERN_ASSIGN_OR_RETURN(value, Evaluate(*expression.children[0]));
      }
      TERN_ASSIGN_OR_RETURN(const Arguments arguments, EvaluateArguments(expression));
      return Filter(expression.text, value, arguments);
    }
    case ExpressionKind::kTest: {
      TERN_ASSIGN_OR_RETURN(const Value value, Evaluate(*expression.children[0]));
      TERN_ASSIGN_OR_RETURN(const Arguments arguments, EvaluateArguments(expression));
      return Test(expression.text, value, arguments);
    }
  }
  return Undefined{};
}

Result<Value> Interpreter::DictOf(const Expression& expression) {
  Dict dict;
  for (size_t i = 0; i + 1 < expression.children.size(); i += 2) {
    TERN_ASSIGN_OR_RETURN(const Value key, Evaluate(*expression.children[i]));
    TERN_ASSIGN_OR_RETURN(Value value, Evaluate(*expression.children[i + 1]));
    const Text* text = AsText(key);
    if (text == nullptr)
      return Fail(Code::kUnsupported, "a dict with {} as a key is not supported", TypeName(key));
    dict.Set(*text, std::move(value));
  }
  return MakeDict(std::move(dict));
}

Result<Value> Interpreter::Unary(const Expression& expression) {
  TERN_ASSIGN_OR_RETURN(const Value value, Evaluate(*expression.children[0]));
  if (expression.text == "not") return !Truth(value);
  int64_t integer = 0;
  if (AsInteger(value, &integer)) {
    if (expression.text == "+") return integer;
    return Arithmetic("-", int64_t{0}, integer);
  }
  const double* number = std::get_if<double>(&value);
  if (number == nullptr)
    return Fail(Code::kCorrupt, "'{}' before {}", expression.text, TypeName(value));
  return expression.text == "-" ? -*number : *number;
}

Result<Value> Interpreter::Binary(const Expression& expression) {
  TERN_ASSIGN_OR_RETURN(const Value a, Evaluate(*expression.children[0]));
  const std::string& op = expression.text;
  if (op == "and" || op == "or") {
    if (Truth(a) == (op == "or")) return a;
    return Evaluate(*expression.children[1]);
  }
  TERN_ASSIGN_OR_RETURN(const Value b, Evaluate(*expression.children[1]));
  if (op == "~") {
    Text text = Str(a);
    text.Append(Str(b));
    TERN_TRY(Spend(static_cast<int64_t>(text.size())));
    return MakeText(std::move(text));
  }
  if (op == "+") return Add(a, b);
  return Arithmetic(op, a, b);
}

Result<Value> Interpreter::Compare(const Expression& expression) {
  TERN_ASSIGN_OR_RETURN(Value left, Evaluate(*expression.children[0]));
  for (size_t i = 0; i < expression.operators.size(); ++i) {
    TERN_ASSIGN_OR_RETURN(Value right, Evaluate(*expression.children[i + 1]));
    TERN_ASSIGN_OR_RETURN(const bool holds, CompareTwo(expression.operators[i], left, right));
    if (!holds) return false;
    left = std::move(right);
  }
  return true;
}

Result<bool> Interpreter::CompareTwo(const std::string& op, const Value& a, const Value& b) {
  TERN_TRY(Spend(Extent(b)));
  if (op == "==") return Equal(a, b);
  if (op == "!=") return !Equal(a, b);
  if (op == "in") return Contains(b, a);
  if (op == "not in") {
    TERN_ASSIGN_OR_RETURN(const bool found, Contains(b, a));
    return !found;
  }
  if (op == "<") return Less(a, b);
  if (op == ">") return Less(b, a);
  // NaN is neither less nor equal.
  TERN_ASSIGN_OR_RETURN(const bool less, op == "<=" ? Less(a, b) : Less(b, a));
  return less || Equal(a, b);
}

Result<Value> Interpreter::Index(const Value& object, const Value& key) {
  if (IsUndefined(object))
    return Fail(Code::kCorrupt, "'{}' is undefined", std::get<Undefined>(object).name);
  if (const Text* name = AsText(key)) {
    if (const Dict* dict = AsDict(object))
      if (const Value* found = dict->Find(name->bytes())) return *found;
    return Attribute(object, name->bytes());
  }
  int64_t index = 0;
  if (!AsInteger(key, &index)) return Undefined{"a member that is no name"};
  const Undefined missing{fmt::format("item {}", index)};
  if (const List* list = AsList(object)) {
    const int64_t size = std::ssize(list->items);
    if (index >= size || index < -size) return missing;
    return list->items[static_cast<size_t>(index < 0 ? index + size : index)];
  }
  if (const Text* text = AsText(object)) {
    TERN_TRY(Spend(Extent(object)));
    const std::vector<size_t> bounds = CharacterBounds(text->bytes());
    const int64_t size = std::ssize(bounds) - 1;
    if (index >= size || index < -size) return missing;
    const auto at = static_cast<size_t>(index < 0 ? index + size : index);
    return MakeText(text->Cut(bounds[at], bounds[at + 1]));
  }
  return missing;
}

Result<Value> Interpreter::Slice(const Expression& expression) {
  TERN_ASSIGN_OR_RETURN(const Value object, Evaluate(*expression.children[0]));
  int64_t part[3] = {0, 0, 1};
  bool given[3] = {};
  for (size_t i = 0; i < 3; ++i) {
    const ExpressionPtr& child = expression.children[i + 1];
    if (child == nullptr) continue;
    TERN_ASSIGN_OR_RETURN(const Value value, Evaluate(*child));
    if (IsNone(value)) continue;
    given[i] = AsInteger(value, &part[i]);
    if (!given[i]) return Fail(Code::kCorrupt, "{} in a slice", TypeName(value));
  }
  const int64_t step = part[2];
  if (step == 0) return Fail(Code::kCorrupt, "a slice with step 0");
  if (IsUndefined(object))
    return Fail(Code::kCorrupt, "'{}' is undefined", std::get<Undefined>(object).name);
  const Text* text = AsText(object);
  const List* list = AsList(object);
  if (text == nullptr && list == nullptr) return Undefined{"a slice"};
  TERN_TRY(Spend(Extent(object)));
  const std::vector<size_t> bounds =
      text != nullptr ? CharacterBounds(text->bytes()) : std::vector<size_t>();
  const int64_t size = text != nullptr ? std::ssize(bounds) - 1 : std::ssize(list->items);
  const int64_t lowest = step > 0 ? 0 : -1;
  const int64_t highest = step > 0 ? size : size - 1;
  const int64_t begin =
      given[0] ? SliceBound(part[0], size, lowest, highest) : (step > 0 ? 0 : size - 1);
  const int64_t end =
      given[1] ? SliceBound(part[1], size, lowest, highest) : (step > 0 ? size : -1);

  Text cut;
  std::vector<Value> items;
  int64_t i = begin;
  while (step > 0 ? i < end : i > end) {
    const auto at = static_cast<size_t>(i);
    if (text != nullptr) {
      cut.Append(text->Cut(bounds[at], bounds[at + 1]));
    } else {
      items.push_back(list->items[at]);
    }
    if (step > 0 ? step >= end - i : step <= end - i) break;  // the next would pass the end
    i += step;
  }
  if (text != nullptr) return MakeText(std::move(cut));
  return MakeList(std::move(items), list->tuple);
}

}  // namespace tern::jinja
