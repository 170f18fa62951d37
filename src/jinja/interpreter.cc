#include "jinja/interpreter.h"

#include <algorithm>
#include <utility>

namespace tern::jinja {
namespace {

constexpr int kMaxDepth = 250;  // of statements, expressions and macro calls within each other

/// The error with its line in front, once.
tl::unexpected<Error> AtLine(int line, Error error) {
  if (error.message.starts_with("line ")) return tl::unexpected(std::move(error));
  return Within(fmt::format("line {}", line), std::move(error));
}

}  // namespace

const Value* Arguments::Find(size_t position, std::string_view name) const {
  if (position < values.size()) return &values[position];
  for (const auto& [key, value] : named)
    if (key == name) return &value;
  return nullptr;
}

Status Arguments::Check(size_t positions, std::initializer_list<std::string_view> names) const {
  if (values.size() > positions)
    return Fail(Code::kCorrupt, "found {} arguments, expected at most {}", values.size(),
                positions);
  for (const auto& [name, value] : named)
    if (std::find(names.begin(), names.end(), name) == names.end())
      return Fail(Code::kUnsupported, "the argument {:?} is not supported", name.substr(0, 40));
  return {};
}

Result<Text> Interpreter::Run(const Body& body) {
  for (const auto& [name, value] : environment_.variables) scope_->names.emplace(name, value);
  // The template's own names lie above, as in Python: they never change what a caller passed.
  auto scope = std::make_shared<Scope>();
  scope->parent = scope_;
  return Capture(body, std::move(scope));
}

Status Interpreter::Spend(int64_t work) {
  if (work > environment_.limits.work - work_)
    return Fail(Code::kResourceExhausted, "more work than the limit of {} steps",
                environment_.limits.work);
  work_ += work;
  return {};
}

Status Interpreter::Enter() {
  if (depth_ >= kMaxDepth)
    return Fail(Code::kResourceExhausted, "nested deeper than {} levels", kMaxDepth);
  ++depth_;
  return Spend(1);
}

Value Interpreter::Lookup(const std::string& name) const {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get())
    if (const auto found = scope->names.find(name); found != scope->names.end())
      return found->second;
  const bool is_function = name == "range" || name == "dict" || name == "namespace" ||
                           name == "raise_exception" ||
                           (name == "strftime_now" && environment_.now.has_value());
  if (is_function) {
    auto function = std::make_shared<Callable>();
    function->name = name;
    return std::shared_ptr<const Callable>(std::move(function));
  }
  return Undefined{name};
}

Status Interpreter::Emit(const Text& text) {
  TERN_TRY(Spend(static_cast<int64_t>(text.size())));
  if (static_cast<int64_t>(out_->size() + text.size()) > environment_.limits.output)
    return Fail(Code::kResourceExhausted, "more output than the limit of {} bytes",
                environment_.limits.output);
  out_->Append(text);
  return {};
}

Result<Text> Interpreter::Capture(const Body& body, std::shared_ptr<Scope> scope) {
  Text text;
  Text* const outer_text = std::exchange(out_, &text);
  std::shared_ptr<Scope> outer_scope = std::exchange(scope_, std::move(scope));
  const auto flow = Execute(body);
  scope_ = std::move(outer_scope);
  out_ = outer_text;
  if (!flow) return tl::unexpected(flow.error());
  return text;
}

Result<Interpreter::Flow> Interpreter::Execute(const Body& body) {
  for (const Statement& statement : body) {
    Status entered = Enter();
    if (!entered) return AtLine(statement.line, std::move(entered.error()));
    auto flow = Execute(statement);
    --depth_;
    if (!flow) return AtLine(statement.line, std::move(flow.error()));
    if (*flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::Execute(const Statement& statement) {
  switch (statement.kind) {
    case StatementKind::kData:
      TERN_TRY(Emit({statement.text, Origin::kTemplate}));
      return Flow::kNext;
    case StatementKind::kOutput: {
      TERN_ASSIGN_OR_RETURN(const Value value, Evaluate(*statement.expression));
      TERN_TRY(Emit(Str(value)));
      return Flow::kNext;
    }
    case StatementKind::kIf:
      return If(statement);
    case StatementKind::kFor:
      return For(statement);
    case StatementKind::kSet:
      TERN_TRY(Set(statement));
      return Flow::kNext;
    case StatementKind::kMacro: {
      auto macro = std::make_shared<Callable>();
      macro->name = statement.text;
      macro->macro = &statement;
      macro->scope = scope_;
      scope_->names[statement.text] = std::shared_ptr<const Callable>(std::move(macro));
      return Flow::kNext;
    }
    case StatementKind::kScope: {
      auto scope = std::make_shared<Scope>();
      scope->parent = scope_;
      std::shared_ptr<Scope> outer = std::exchange(scope_, std::move(scope));
      const auto flow = Execute(statement.body);
      scope_ = std::move(outer);
      return flow;
    }
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::If(const Statement& statement) {
  for (const Statement::Branch& branch : statement.branches) {
    if (branch.condition != nullptr) {
      TERN_ASSIGN_OR_RETURN(const Value value, Evaluate(*branch.condition));
      if (!Truth(value)) continue;
    }
    return Execute(branch.body);
  }
  return Flow::kNext;
}

/// The items for which the loop's condition holds.
Result<std::vector<Value>> Interpreter::Selected(const Statement& statement,
                                                 std::vector<Value> items) {
  if (statement.condition == nullptr) return items;
  std::vector<Value> selected;
  std::shared_ptr<Scope> outer = scope_;
  for (Value& item : items) {
    scope_ = std::make_shared<Scope>();
    scope_->parent = outer;
    Status assigned = Assign(statement, item);
    auto value = assigned ? Evaluate(*statement.condition)
                          : Result<Value>(tl::unexpected(std::move(assigned.error())));
    scope_ = outer;
    if (!value) return tl::unexpected(std::move(value.error()));
    if (Truth(*value)) selected.push_back(std::move(item));
  }
  return selected;
}

Result<Interpreter::Flow> Interpreter::For(const Statement& statement) {
  TERN_ASSIGN_OR_RETURN(const Value sequence, Evaluate(*statement.expression));
  TERN_TRY(Spend(Extent(sequence)));
  TERN_ASSIGN_OR_RETURN(std::vector<Value> items, Items(sequence));
  TERN_ASSIGN_OR_RETURN(items, Selected(statement, std::move(items)));
  if (items.empty()) return Execute(statement.otherwise);

  auto loop = std::make_shared<Loop>();
  for (const Value& item : items) loop->depth = std::max(loop->depth, Depth(item) + 1);
  if (loop->depth > kMaxValueDepth)
    return Fail(Code::kResourceExhausted, "values nested deeper than {} levels", kMaxValueDepth);
  loop->items = std::move(items);
  std::shared_ptr<Scope> outer = scope_;
  Result<Flow> flow = Flow::kNext;
  for (loop->index = 0; loop->index < loop->items.size(); ++loop->index) {
    scope_ = std::make_shared<Scope>();
    scope_->parent = outer;
    scope_->names["loop"] = std::shared_ptr<const Loop>(loop);
    Status ready = Assign(statement, loop->items[loop->index]);
    if (ready) ready = Spend(4);
    flow = ready ? Execute(statement.body) : Result<Flow>(tl::unexpected(std::move(ready.error())));
    if (!flow || *flow == Flow::kBreak) break;
  }
  scope_ = std::move(outer);
  if (!flow) return flow;
  return Flow::kNext;
}

Status Interpreter::Assign(const Statement& statement, Value value) {
  if (!statement.unpack) {
    scope_->names[statement.names[0]] = std::move(value);
    return {};
  }
  TERN_ASSIGN_OR_RETURN(std::vector<Value> items, Items(value));
  if (items.size() != statement.names.size())
    return Fail(Code::kCorrupt, "found {} values to unpack, expected {}", items.size(),
                statement.names.size());
  for (size_t i = 0; i < items.size(); ++i) scope_->names[statement.names[i]] = std::move(items[i]);
  return {};
}

Status Interpreter::Set(const Statement& statement) {
  Value value;
  if (statement.expression != nullptr) {
    TERN_ASSIGN_OR_RETURN(value, Evaluate(*statement.expression));
  } else {
    auto scope = std::make_shared<Scope>();
    scope->parent = scope_;
    TERN_ASSIGN_OR_RETURN(Text text, Capture(statement.body, std::move(scope)));
    value = MakeText(std::move(text));
    if (statement.condition != nullptr) {
      set_body_ = value;
      TERN_ASSIGN_OR_RETURN(value, Evaluate(*statement.condition));
    }
  }
  if (statement.member.empty()) return Assign(statement, std::move(value));
  const Value object = Lookup(statement.text);
  const auto* space = std::get_if<Namespace*>(&object);
  if (space == nullptr)
    return Fail(Code::kCorrupt, "{} is {}, only a namespace's members can be set", statement.text,
                TypeName(object));
  (*space)->members[statement.member] = std::move(value);
  return {};
}

}  // namespace tern::jinja
