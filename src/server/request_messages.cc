// Conversations: messages, their contents, tools.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "server/api_request.h"

namespace tern {
namespace {

constexpr std::array<std::string_view, 6> kRoles = {"system",    "developer", "user",
                                                    "assistant", "tool",      "function"};
constexpr size_t kMostTools = 128;

const std::string* Text(const Json& object, const char* name) {
  const Json* value = Member(object, name);
  return value == nullptr ? nullptr : value->get_ptr<const std::string*>();
}

// A list of {"id", "type": "function", "function": {"name", "arguments"}}.
ApiStatus CheckToolCalls(const Json& calls, const std::string& field) {
  if (!calls.is_array()) return WrongType(field, calls, "a list of tool calls");
  for (size_t i = 0; i < calls.size(); ++i) {
    const Json* function = Member(calls[i], "function");
    const std::string at = fmt::format("{}[{}].function", field, i);
    if (function == nullptr || Text(*function, "name") == nullptr)
      return Refuse(at + ".name", "missing or no string, expected a string");
    const Json* arguments = Member(*function, "arguments");
    if (arguments != nullptr && !arguments->is_string() && !arguments->is_object())
      return WrongType(at + ".arguments", *arguments, "a string or an object");
  }
  return {};
}

ApiStatus ReadMessage(const Json& value, const std::string& field, ApiMessage& out) {
  if (!value.is_object()) return WrongType(field, value, "an object");
  const std::string* role = Text(value, "role");
  if (role == nullptr) return Refuse(field + ".role", "missing or no string, expected a string");
  if (std::find(kRoles.begin(), kRoles.end(), *role) == kRoles.end())
    return Refuse(field + ".role", fmt::format("found {}, expected system, developer, user, "
                                               "assistant or tool",
                                               Dump(Json(role->substr(0, 40)))));
  out.role = *role == "function" ? "tool" : *role;
  if (const Json* calls = Member(value, "tool_calls"); calls != nullptr && !calls->empty()) {
    TERN_TRY_API(CheckToolCalls(*calls, field + ".tool_calls"));
    out.tool_calls = *calls;
  }
  TERN_TRY_API(ReadString({value, "tool_call_id", field + ".tool_call_id"}, out.tool_call_id));
  TERN_TRY_API(ReadString({value, "name", field + ".name"}, out.name));
  const Json* content = Member(value, "content");
  if (content == nullptr) {
    // An assistant may have done nothing but call tools, or have been stopped before its first
    // word.
    if (out.role == "assistant") return {};
    return Refuse(field + ".content", "missing, expected a text");
  }
  return ReadContent(*content, field + ".content", out.content);
}

ApiStatus ReadToolChoice(const Json& body, bool nested, ToolChoice& out) {
  const Json* value = Member(body, "tool_choice");
  if (value == nullptr) return {};
  constexpr std::string_view kExpected =
      R"("none", "auto", "required", or an object that names a function)";
  if (value->is_string()) {
    const auto& word = value->get_ref<const std::string&>();
    if (word == "none")
      out.mode = ToolChoice::Mode::kNone;
    else if (word == "required")
      out.mode = ToolChoice::Mode::kRequired;
    else if (word != "auto")
      return Refuse("tool_choice", fmt::format("found {}, expected {}",
                                               Dump(Json(word.substr(0, 40))), kExpected));
    return {};
  }
  const Json* holder = nested ? Member(*value, "function") : value;
  const std::string* name = holder == nullptr ? nullptr : Text(*holder, "name");
  if (name == nullptr) return WrongType("tool_choice", *value, kExpected);
  out = {ToolChoice::Mode::kNamed, *name};
  return {};
}

// A tool in chat's form.
ApiResult<Json> ReadTool(const Json& tool, const std::string& field, bool nested) {
  const std::string* type = Text(tool, "type");
  if (type == nullptr || *type != "function")
    return Refuse(field + ".type", R"(expected "function", the only type there is)");
  const Json* function = nested ? Member(tool, "function") : &tool;
  const std::string at = nested ? field + ".function" : field;
  if (function == nullptr || Text(*function, "name") == nullptr)
    return Refuse(at + ".name", "missing or no string, expected a string");
  const Json* parameters = Member(*function, "parameters");
  if (parameters != nullptr && !parameters->is_object())
    return WrongType(at + ".parameters", *parameters, "a JSON schema");
  if (nested) return tool;
  Json flat = *function;
  flat.erase("type");
  return Json{{"type", "function"}, {"function", std::move(flat)}};
}

}  // namespace

ApiStatus ReadContent(const Json& value, const std::string& field, std::string& out) {
  if (value.is_string()) {
    out = value.get<std::string>();
    return {};
  }
  if (!value.is_array()) return WrongType(field, value, "a string or a list of parts");
  for (size_t i = 0; i < value.size(); ++i) {
    const std::string* type = Text(value[i], "type");
    const std::string* text = Text(value[i], "text");
    const bool known =
        type != nullptr && (*type == "text" || *type == "input_text" || *type == "output_text");
    if (!known || text == nullptr)
      return Refuse(fmt::format("{}[{}]", field, i),
                    R"(expected a part {"type": "text", "text": STRING}, the only type there is)");
    out += *text;
  }
  return {};
}

ApiStatus ReadMessages(const Json& body, std::vector<ApiMessage>& out) {
  const Json* value = Member(body, "messages");
  if (value == nullptr) return Refuse("messages", "missing, expected a list of messages");
  if (!value->is_array()) return WrongType("messages", *value, "a list of messages");
  if (value->empty()) return Refuse("messages", "found no message, expected at least one");
  for (size_t i = 0; i < value->size(); ++i)
    TERN_TRY_API(ReadMessage((*value)[i], fmt::format("messages[{}]", i), out.emplace_back()));
  return {};
}

ApiStatus ReadTools(const Json& body, bool nested, ApiRequest& request) {
  TERN_TRY_API(ReadToolChoice(body, nested, request.tool_choice));
  const Json* tools = Member(body, "tools");
  if (tools == nullptr) tools = &request.tools;  // none
  if (!tools->is_array()) return WrongType("tools", *tools, "a list of tools");
  if (tools->size() > kMostTools)
    return Refuse("tools",
                  fmt::format("found {} tools, expected at most {}", tools->size(), kMostTools));
  Json read = Json::array();
  bool found = false;
  for (size_t i = 0; i < tools->size(); ++i) {
    auto tool = ReadTool((*tools)[i], fmt::format("tools[{}]", i), nested);
    if (!tool) return tl::unexpected(std::move(tool.error()));
    found = found || (*tool)["function"]["name"] == request.tool_choice.name;
    read.push_back(*std::move(tool));
  }
  const ToolChoice::Mode mode = request.tool_choice.mode;
  if (mode == ToolChoice::Mode::kNamed && !found)
    return Refuse("tool_choice", fmt::format("names {}, which is none of the tools",
                                             Dump(Json(request.tool_choice.name.substr(0, 40)))));
  if (mode == ToolChoice::Mode::kRequired && read.empty())
    return Refuse("tool_choice", R"(found "required", but there are no tools)");
  // Who isn't to call any needn't know of them.
  request.tools = mode == ToolChoice::Mode::kNone ? Json::array() : std::move(read);
  return {};
}

}  // namespace tern
