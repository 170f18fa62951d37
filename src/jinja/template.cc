#include "jinja/template.h"

#include <algorithm>

#include "jinja/interpreter.h"
#include "jinja/parser.h"

namespace tern::jinja {
namespace {

bool Mentioned(const ExpressionPtr& expression, std::string_view name);
bool Mentioned(const Body& body, std::string_view name);

bool Mentioned(const std::vector<ExpressionPtr>& expressions, std::string_view name) {
  return std::any_of(expressions.begin(), expressions.end(),
                     [name](const ExpressionPtr& part) { return Mentioned(part, name); });
}

bool Mentioned(const ExpressionPtr& expression, std::string_view name) {
  if (expression == nullptr) return false;
  if (expression->kind == ExpressionKind::kName && expression->text == name) return true;
  return Mentioned(expression->children, name) || Mentioned(expression->arguments, name) ||
         std::any_of(expression->named.begin(), expression->named.end(),
                     [name](const auto& part) { return Mentioned(part.second, name); });
}

bool Mentioned(const Statement& statement, std::string_view name) {
  return Mentioned(statement.expression, name) || Mentioned(statement.condition, name) ||
         Mentioned(statement.defaults, name) || Mentioned(statement.body, name) ||
         Mentioned(statement.otherwise, name) ||
         std::any_of(statement.branches.begin(), statement.branches.end(),
                     [name](const Statement::Branch& branch) {
                       return Mentioned(branch.condition, name) || Mentioned(branch.body, name);
                     });
}

bool Mentioned(const Body& body, std::string_view name) {
  return std::any_of(body.begin(), body.end(),
                     [name](const Statement& statement) { return Mentioned(statement, name); });
}

}  // namespace

Result<Template> Template::Parse(std::string_view source) {
  if (source.size() > kMaxBytes)
    return Fail(Code::kResourceExhausted, "line 1: a template of {} bytes, the limit is {}",
                source.size(), kMaxBytes);
  TERN_ASSIGN_OR_RETURN(Body body, tern::jinja::Parse(source));
  return Template(std::move(body));
}

Result<Text> Template::Render(const Environment& environment) const {
  return Interpreter(environment).Run(*body_);
}

bool Template::Mentions(std::string_view name) const { return Mentioned(*body_, name); }

}  // namespace tern::jinja
