// Attributes, functions, macros, and the methods of dicts and loops.
#include <algorithm>
#include <array>

#include "jinja/interpreter.h"

namespace tern::jinja {
namespace {

constexpr int64_t kMaxRange = 100000;  // as in jinja2's sandbox

Value Method(const Value& self, const std::string& name) {
  auto method = std::make_shared<Callable>();
  method->name = name;
  method->self = self;
  method->method = true;
  return std::shared_ptr<const Callable>(std::move(method));
}

bool IsDictMethod(std::string_view name) {
  return name == "items" || name == "keys" || name == "values" || name == "get";
}

Result<Value> LoopAttribute(const Value& self, const Loop& loop, const std::string& name) {
  const auto index = static_cast<int64_t>(loop.index);
  const int64_t size = std::ssize(loop.items);
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "first") return index == 0;
  if (name == "last") return index + 1 == size;
  if (name == "length") return size;
  if (name == "revindex") return size - index;
  if (name == "revindex0") return size - index - 1;
  if (name == "depth") return int64_t{1};  // it counts recursive loops alone
  if (name == "depth0") return int64_t{0};
  if (name == "previtem")
    return index == 0 ? Value(Undefined{"loop.previtem"}) : loop.items[loop.index - 1];
  if (name == "nextitem")
    return index + 1 == size ? Value(Undefined{"loop.nextitem"}) : loop.items[loop.index + 1];
  if (name == "cycle") return Method(self, name);
  return Fail(Code::kUnsupported, "loop.{} is not supported", name);
}

}  // namespace

Result<Value> Interpreter::Attribute(const Value& object, const std::string& name) {
  if (IsUndefined(object))
    return Fail(Code::kCorrupt, "'{}' is undefined", std::get<Undefined>(object).name);
  if (const auto* space = std::get_if<Namespace*>(&object)) {
    const auto found = (*space)->members.find(name);
    if (found != (*space)->members.end()) return found->second;
  } else if (const Dict* dict = AsDict(object)) {
    if (IsDictMethod(name)) return Method(object, name);
    if (const Value* found = dict->Find(name)) return *found;
  } else if (AsText(object) != nullptr) {
    if (IsTextMethod(name)) return Method(object, name);
  } else if (const auto* loop = std::get_if<std::shared_ptr<const Loop>>(&object)) {
    return LoopAttribute(object, **loop, name);
  }
  return Undefined{name};
}

Result<Value> Interpreter::Call(const Value& callee, const Arguments& arguments) {
  if (IsUndefined(callee))
    return Fail(Code::kUnsupported, "'{}', which is called here, is not supported or undefined",
                std::get<Undefined>(callee).name);
  const auto* found = std::get_if<std::shared_ptr<const Callable>>(&callee);
  if (found == nullptr) return Fail(Code::kCorrupt, "{} can't be called", TypeName(callee));
  const Callable& callable = **found;
  if (callable.macro != nullptr) return CallMacro(callable, arguments);
  if (!callable.method) return CallFunction(callable.name, arguments);
  TERN_TRY(Spend(Extent(callable.self)));
  if (const Text* text = AsText(callable.self)) {
    TERN_ASSIGN_OR_RETURN(Value result, CallTextMethod(callable.name, *text, arguments));
    TERN_TRY(Spend(Extent(result)));
    return result;
  }
  if (const Dict* dict = AsDict(callable.self))
    return CallDictMethod(callable.name, *dict, arguments);
  const auto& loop = *std::get<std::shared_ptr<const Loop>>(callable.self);
  if (arguments.values.empty()) return Fail(Code::kCorrupt, "loop.cycle without arguments");
  return arguments.values[loop.index % arguments.values.size()];
}

Result<Value> Interpreter::CallFunction(const std::string& name, const Arguments& arguments) {
  if (name == "range") return Range(arguments);
  if (name == "namespace") return MakeNamespace(arguments);
  if (name == "dict") return DictFrom(arguments);
  TERN_TRY(arguments.Check(1, {}));
  if (arguments.values.empty()) return Fail(Code::kCorrupt, "{} without an argument", name);
  const Text text = Str(arguments.values[0]);
  if (name == "strftime_now") {
    if (text.size() > 256) return Fail(Code::kResourceExhausted, "a format of more than 256 bytes");
    return TemplateText(FormatTime(text.bytes(), *environment_.now));
  }
  return Fail(Code::kInvalidArgument, "{}", text.bytes());
}

Result<Value> Interpreter::Range(const Arguments& arguments) {
  TERN_TRY(arguments.Check(3, {}));
  int64_t part[3] = {0, 0, 1};
  const size_t count = arguments.values.size();
  for (size_t i = 0; i < count; ++i)
    if (!AsInteger(arguments.values[i], &part[i]))
      return Fail(Code::kCorrupt, "range of {}", TypeName(arguments.values[i]));
  if (count == 0) return Fail(Code::kCorrupt, "range without an argument");
  if (count == 1) std::swap(part[0], part[1]);
  const auto [begin, end, step] = part;
  if (step == 0) return Fail(Code::kCorrupt, "range with step 0");
  std::vector<Value> items;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (std::ssize(items) == kMaxRange)
      return Fail(Code::kResourceExhausted, "a range of more than {} numbers", kMaxRange);
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  TERN_TRY(Spend(std::ssize(items)));
  return MakeList(std::move(items));
}

Result<Value> Interpreter::DictFrom(const Arguments& arguments) {
  if (arguments.values.size() > 1) return Fail(Code::kCorrupt, "more than one argument");
  Dict dict;
  if (!arguments.values.empty()) {
    const Dict* given = AsDict(arguments.values[0]);
    if (given == nullptr)
      return Fail(Code::kUnsupported, "dict() of {} is not supported",
                  TypeName(arguments.values[0]));
    dict = *given;
  }
  for (const auto& [name, value] : arguments.named) dict.Set({name, Origin::kTemplate}, value);
  TERN_TRY(Spend(std::ssize(dict.entries)));
  return MakeDict(std::move(dict));
}

Result<Value> Interpreter::MakeNamespace(const Arguments& arguments) {
  auto space = std::make_unique<Namespace>();
  if (!arguments.values.empty()) {
    TERN_ASSIGN_OR_RETURN(const Value first, DictFrom({arguments.values, {}}));
    for (const auto& [name, value] : AsDict(first)->entries) space->members[name.bytes()] = value;
  }
  for (const auto& [name, value] : arguments.named) space->members[name] = value;
  namespaces_.push_back(std::move(space));
  return namespaces_.back().get();
}

Result<Value> Interpreter::CallMacro(const Callable& macro, const Arguments& arguments) {
  const Statement& definition = *macro.macro;
  auto scope = std::make_shared<Scope>();
  scope->parent = macro.scope.lock();
  if (scope->parent == nullptr)
    return Fail(Code::kUnsupported, "the macro {} outside the block that defines it",
                definition.text);
  if (arguments.values.size() > definition.names.size())
    return Fail(Code::kUnsupported, "more arguments than the macro {} has are not supported",
                definition.text);
  for (size_t i = 0; i < arguments.values.size(); ++i)
    scope->names[definition.names[i]] = arguments.values[i];
  for (const auto& [name, value] : arguments.named) {
    if (std::find(definition.names.begin(), definition.names.end(), name) == definition.names.end())
      return Fail(Code::kUnsupported, "the macro {} has no parameter {}", definition.text, name);
    scope->names[name] = value;
  }
  const size_t required = definition.names.size() - definition.defaults.size();
  std::shared_ptr<Scope> outer = std::exchange(scope_, scope);
  Result<Text> text;
  for (size_t i = 0; i < definition.names.size() && text; ++i) {
    const std::string& name = definition.names[i];
    if (scope->names.contains(name)) continue;
    Result<Value> value = Undefined{name};
    if (i >= required) value = Evaluate(*definition.defaults[i - required]);
    if (value) {
      scope->names[name] = std::move(*value);
    } else {
      text = tl::unexpected(std::move(value.error()));
    }
  }
  scope_ = std::move(outer);
  if (text) text = Capture(definition.body, std::move(scope));
  if (!text) return tl::unexpected(std::move(text.error()));
  return MakeText(std::move(*text));
}

Result<Value> CallDictMethod(const std::string& name, const Dict& self,
                             const Arguments& arguments) {
  TERN_TRY(arguments.Check(name == "get" ? 2 : 0, {}));
  if (name == "get") {
    if (arguments.values.empty()) return Fail(Code::kCorrupt, "get without a key");
    const Text* key = AsText(arguments.values[0]);
    const Value* found = key == nullptr ? nullptr : self.Find(key->bytes());
    if (found != nullptr) return *found;
    return arguments.values.size() > 1 ? arguments.values[1] : Value(None{});
  }
  std::vector<Value> items;
  for (const auto& [key, value] : self.entries) {
    if (name == "keys") {
      items.push_back(MakeText(key));
    } else if (name == "values") {
      items.push_back(value);
    } else {
      TERN_ASSIGN_OR_RETURN(Value pair, MakeList({MakeText(key), value}, true));
      items.push_back(std::move(pair));
    }
  }
  return MakeList(std::move(items));
}

std::string FormatTime(const std::string& format, const std::tm& time) {
  if (format.empty()) return {};
  // The result can be empty on purpose (%Z), so it gets a byte of its own.
  const std::string padded = format + "|";
  std::array<char, 4096> buffer;
  const size_t size = std::strftime(buffer.data(), buffer.size(), padded.c_str(), &time);
  return {buffer.data(), size > 0 ? size - 1 : 0};
}

}  // namespace tern::jinja
