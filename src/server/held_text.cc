#include "server/held_text.h"

namespace tern {
namespace {

// The schema of one call of one of the tools: the answer is this object and nothing else, which
// ToolCallReader takes for a call.
std::string CallSchema(const ApiRequest& request) {
  Json calls = Json::array();
  for (const Json& tool : request.tools) {
    const Json& function = tool["function"];
    const std::string name = function["name"].get<std::string>();
    if (request.tool_choice.mode == ToolChoice::Mode::kNamed && name != request.tool_choice.name)
      continue;
    const Json* parameters = Member(function, "parameters");
    Json arguments = parameters == nullptr ? Json{{"type", "object"}} : *parameters;
    calls.push_back(
        {{"type", "object"},
         {"properties", {{"name", {{"const", name}}}, {"arguments", std::move(arguments)}}},
         {"required", {"name", "arguments"}},
         {"additionalProperties", false}});
  }
  return Dump({{"anyOf", std::move(calls)}});
}

ApiResult<std::shared_ptr<const Grammar>> Checked(Result<std::shared_ptr<const Grammar>> grammar,
                                                  const std::string& field) {
  if (grammar) return *std::move(grammar);
  return Refuse(field, grammar.error().message);
}

}  // namespace

ApiResult<std::shared_ptr<const Grammar>> GrammarOf(const ApiRequest& request) {
  const ToolChoice::Mode mode = request.tool_choice.mode;
  if (mode == ToolChoice::Mode::kRequired || mode == ToolChoice::Mode::kNamed)
    return Checked(Grammar::FromJsonSchema(CallSchema(request)), "tools");
  const TextFormat& format = request.format;
  switch (format.kind) {
    case TextFormat::Kind::kNone:
      return nullptr;
    case TextFormat::Kind::kJsonObject:
      return Grammar::AnyJsonObject();
    case TextFormat::Kind::kJsonSchema:
      return Checked(Grammar::FromJsonSchema(format.text), format.field);
    case TextFormat::Kind::kGbnf:
      break;
  }
  return Checked(Grammar::FromGbnf(format.text), format.field);
}

}  // namespace tern
