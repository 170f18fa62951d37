// Runs a parsed template.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "jinja/callable.h"
#include "jinja/template.h"

namespace tern::jinja {

struct Scope {
  std::map<std::string, Value> names;
  std::shared_ptr<Scope> parent;
};

/// Arguments of a call, evaluated.
struct Arguments {
  std::vector<Value> values;
  std::vector<std::pair<std::string, Value>> named;

  /// The argument at `position` or called `name`; nullptr when it isn't given.
  const Value* Find(size_t position, std::string_view name) const;
  /// Errors: kCorrupt for more than `positions` arguments, or names that are none of `names`.
  Status Check(size_t positions, std::initializer_list<std::string_view> names) const;
};

/// One rendering. Errors have no line yet where they arise; the expression or statement puts it in
/// front once.
class Interpreter {
 public:
  explicit Interpreter(const Environment& environment) : environment_(environment) {}

  Result<Text> Run(const Body& body);

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };

  // interpreter.cc: statements
  Result<Flow> Execute(const Body& body);
  Result<Flow> Execute(const Statement& statement);
  Result<Flow> If(const Statement& statement);
  Result<Flow> For(const Statement& statement);
  Status Set(const Statement& statement);
  Status Assign(const Statement& statement, Value value);
  Result<std::vector<Value>> Selected(const Statement& statement, std::vector<Value> items);
  Status Emit(const Text& text);
  /// The output of a body with a scope of its own below `parent`.
  Result<Text> Capture(const Body& body, std::shared_ptr<Scope> scope);
  Status Spend(int64_t work);
  Status Enter();
  Value Lookup(const std::string& name) const;

  // evaluate.cc: expressions
  Result<Value> Evaluate(const Expression& expression);
  Result<Value> EvaluateKind(const Expression& expression);
  Result<std::vector<Value>> EvaluateAll(std::span<const ExpressionPtr> expressions);
  Result<Value> DictOf(const Expression& expression);
  Result<Value> Unary(const Expression& expression);
  Result<Value> Binary(const Expression& expression);
  Result<Value> Compare(const Expression& expression);
  Result<bool> CompareTwo(const std::string& op, const Value& a, const Value& b);
  Result<Value> Index(const Value& object, const Value& key);
  Result<Value> Slice(const Expression& expression);
  Result<Arguments> EvaluateArguments(const Expression& call);

  // arithmetic.cc
  Result<Value> Add(const Value& a, const Value& b);
  Result<Value> Repeat(const Value& sequence, int64_t times);
  Result<Value> Arithmetic(const std::string& op, const Value& a, const Value& b);

  // calls.cc: attributes, functions, macros and methods
  Result<Value> Attribute(const Value& object, const std::string& name);
  Result<Value> Call(const Value& callee, const Arguments& arguments);
  Result<Value> CallFunction(const std::string& name, const Arguments& arguments);
  Result<Value> CallMacro(const Callable& macro, const Arguments& arguments);
  Result<Value> Range(const Arguments& arguments);
  Result<Value> DictFrom(const Arguments& arguments);
  Result<Value> MakeNamespace(const Arguments& arguments);

  // filters.cc, tests.cc
  Result<Value> Filter(const std::string& name, const Value& value, const Arguments& arguments);
  Result<Value> Map(const Value& value, const Arguments& arguments);
  Result<Value> Select(const Value& value, Arguments arguments, bool by_attribute, bool keep);
  Result<Value> Join(const Value& value, const Arguments& arguments);
  Result<Value> MemberAt(const Value& value, const Value& path);
  Result<bool> Test(const std::string& name, const Value& value, const Arguments& arguments);

  const Environment& environment_;
  std::shared_ptr<Scope> scope_ = std::make_shared<Scope>();
  std::vector<std::unique_ptr<Namespace>> namespaces_;
  Text* out_ = nullptr;
  Value set_body_;  // what the filters of `set name | filter` begin with
  int64_t work_ = 0;
  int depth_ = 0;
};

// values that stand for sequences; shared by the files above
/// What a for statement goes through. Errors: kCorrupt for what can't be iterated.
Result<std::vector<Value>> Items(const Value& value);
/// Length of a string in characters, of a list, of a dict. Errors: kCorrupt for others.
Result<int64_t> Length(const Value& value);
/// Bytes and items that a value is made of, at its first level.
int64_t Extent(const Value& value);
Result<bool> Contains(const Value& container, const Value& item);

bool IsTextMethod(std::string_view name);
/// Methods of strings. Errors: kCorrupt for wrong arguments.
Result<Value> CallTextMethod(const std::string& name, const Text& self, const Arguments& arguments);
/// Methods of dicts: items, keys, values, get.
Result<Value> CallDictMethod(const std::string& name, const Dict& self, const Arguments& arguments);

/// Python's strftime in the C locale.
std::string FormatTime(const std::string& format, const std::tm& time);

}  // namespace tern::jinja
