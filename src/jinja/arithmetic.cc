// Numbers, and sequences added and repeated.
#include <cmath>

#include "jinja/interpreter.h"

namespace tern::jinja {
namespace {

tl::unexpected<Error> TooLarge() {
  return Fail(Code::kUnsupported, "an integer of more than 64 bits is not supported");
}

Result<Value> Powered(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) return Fail(Code::kCorrupt, "division by zero");
    return std::pow(static_cast<double>(base), static_cast<double>(exponent));
  }
  int64_t result = 1;
  if (base == 0 || base == 1) return exponent == 0 ? 1 : base;
  if (base == -1) return exponent % 2 == 0 ? int64_t{1} : int64_t{-1};
  for (; exponent > 0; --exponent)
    if (__builtin_mul_overflow(result, base, &result)) return TooLarge();
  return result;
}

/// Integers as Python has them: quotient and remainder of a division go down.
Result<Value> OfIntegers(const std::string& op, int64_t a, int64_t b) {
  int64_t result = 0;
  if (op == "-") {
    if (__builtin_sub_overflow(a, b, &result)) return TooLarge();
    return result;
  }
  if (op == "*") {
    if (__builtin_mul_overflow(a, b, &result)) return TooLarge();
    return result;
  }
  if (op == "**") return Powered(a, b);
  if (b == 0) return Fail(Code::kCorrupt, "division by zero");
  if (op == "/") return static_cast<double>(a) / static_cast<double>(b);
  if (b == -1) {  // the one quotient that may not fit
    if (op == "%") return int64_t{0};
    return OfIntegers("-", 0, a);
  }
  const bool down = a % b != 0 && (a < 0) != (b < 0);
  if (op == "//") return a / b - (down ? 1 : 0);
  return a % b + (down ? b : 0);
}

Result<Value> OfFloats(const std::string& op, double a, double b) {
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  if (op == "**") return std::pow(a, b);
  if (b == 0) return Fail(Code::kCorrupt, "division by zero");
  if (op == "/") return a / b;
  double rest = std::fmod(a, b);
  if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
  if (op == "%") return rest;
  return std::floor((a - rest) / b + 0.5);
}

}  // namespace

Result<Value> Interpreter::Add(const Value& a, const Value& b) {
  TERN_TRY(Spend(Extent(a) + Extent(b)));
  if (AsText(a) != nullptr && AsText(b) != nullptr) {
    Text text = *AsText(a);
    text.Append(*AsText(b));
    return MakeText(std::move(text));
  }
  const List* left = AsList(a);
  const List* right = AsList(b);
  if (left != nullptr && right != nullptr && left->tuple == right->tuple) {
    std::vector<Value> items = left->items;
    items.insert(items.end(), right->items.begin(), right->items.end());
    return MakeList(std::move(items), left->tuple);
  }
  int64_t i = 0;
  int64_t j = 0;
  if (AsInteger(a, &i) && AsInteger(b, &j)) {
    int64_t sum = 0;
    if (__builtin_add_overflow(i, j, &sum)) return TooLarge();
    return sum;
  }
  double x = 0;
  double y = 0;
  if (AsNumber(a, &x) && AsNumber(b, &y)) return x + y;
  for (const Value* side : {&a, &b})
    if (IsUndefined(*side))
      return Fail(Code::kCorrupt, "'{}' is undefined", std::get<Undefined>(*side).name);
  return Fail(Code::kCorrupt, "{} + {}", TypeName(a), TypeName(b));
}

Result<Value> Interpreter::Repeat(const Value& sequence, int64_t times) {
  if (times < 0) times = 0;
  int64_t work = 0;
  if (__builtin_mul_overflow(Extent(sequence), times, &work)) work = INT64_MAX;
  TERN_TRY(Spend(work));
  if (Extent(sequence) == 0) times = 0;
  if (const Text* text = AsText(sequence)) {
    Text out;
    for (int64_t i = 0; i < times; ++i) out.Append(*text);
    return MakeText(std::move(out));
  }
  const List& list = *AsList(sequence);
  std::vector<Value> items;
  for (int64_t i = 0; i < times; ++i)
    items.insert(items.end(), list.items.begin(), list.items.end());
  return MakeList(std::move(items), list.tuple);
}

Result<Value> Interpreter::Arithmetic(const std::string& op, const Value& a, const Value& b) {
  int64_t i = 0;
  int64_t j = 0;
  const bool a_is_integer = AsInteger(a, &i);
  const bool b_is_integer = AsInteger(b, &j);
  if (a_is_integer && b_is_integer) return OfIntegers(op, i, j);
  double x = 0;
  double y = 0;
  if (AsNumber(a, &x) && AsNumber(b, &y)) return OfFloats(op, x, y);
  const auto is_sequence = [](const Value& value) {
    return AsText(value) != nullptr || AsList(value) != nullptr;
  };
  if (op == "*" && is_sequence(a) && b_is_integer) return Repeat(a, j);
  if (op == "*" && is_sequence(b) && a_is_integer) return Repeat(b, i);
  if (op == "%" && AsText(a) != nullptr)
    return Fail(Code::kUnsupported, "formatting of a string with % is not supported");
  for (const Value* side : {&a, &b})
    if (IsUndefined(*side))
      return Fail(Code::kCorrupt, "'{}' is undefined", std::get<Undefined>(*side).name);
  return Fail(Code::kCorrupt, "{} {} {}", TypeName(a), op, TypeName(b));
}

}  // namespace tern::jinja
