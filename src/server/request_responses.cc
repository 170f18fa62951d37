// The fields of POST /v1/responses that differ from those of chats.
#include <fmt/format.h>

#include "server/api_request.h"

namespace tern {
namespace {

// {"type":"function_call","call_id","name","arguments"} as an assistant's message.
ApiStatus ReadFunctionCall(const Json& item, const std::string& field, ApiMessage& out) {
  std::string id, name, arguments = "{}";
  TERN_TRY_API(ReadString({item, "call_id", field + ".call_id"}, id));
  TERN_TRY_API(ReadString({item, "name", field + ".name"}, name));
  TERN_TRY_API(ReadString({item, "arguments", field + ".arguments"}, arguments));
  if (name.empty()) return Refuse(field + ".name", "missing, expected a string");
  out.role = "assistant";
  out.tool_calls = Json::array({{{"id", id},
                                 {"type", "function"},
                                 {"function", {{"name", name}, {"arguments", arguments}}}}});
  return {};
}

ApiStatus ReadItem(const Json& item, const std::string& field, ApiMessage& out) {
  if (!item.is_object()) return WrongType(field, item, "an object");
  std::string type = "message";
  TERN_TRY_API(ReadString({item, "type", field + ".type"}, type));
  if (type == "function_call") return ReadFunctionCall(item, field, out);
  if (type == "function_call_output") {
    out.role = "tool";
    TERN_TRY_API(ReadString({item, "call_id", field + ".call_id"}, out.tool_call_id));
    const Json* output = Member(item, "output");
    if (output == nullptr) return Refuse(field + ".output", "missing, expected a text");
    return ReadContent(*output, field + ".output", out.content);
  }
  if (type != "message")
    return Refuse(field + ".type",
                  R"(expected "message", "function_call" or "function_call_output")");
  std::vector<ApiMessage> read;
  auto status = ReadMessages(Json{{"messages", Json::array({item})}}, read);
  if (!status) {
    // The list was made for this; what the client wrote is at `field`.
    ApiError error = std::move(status.error());
    constexpr std::string_view kMade = "messages[0]";
    for (std::string* text : {&error.message, &error.param})
      if (const size_t at = text->find(kMade); at != std::string::npos)
        text->replace(at, kMade.size(), field);
    return tl::unexpected(std::move(error));
  }
  out = std::move(read[0]);
  return {};
}

ApiStatus ReadInput(const Json& body, std::vector<ApiMessage>& out) {
  const Json* input = Member(body, "input");
  if (input == nullptr) return Refuse("input", "missing, expected a string or a list of items");
  if (input->is_string()) {
    out.push_back({.role = "user", .content = input->get<std::string>()});
    return {};
  }
  if (!input->is_array()) return WrongType("input", *input, "a string or a list of items");
  if (input->empty()) return Refuse("input", "found no item, expected at least one");
  for (size_t i = 0; i < input->size(); ++i)
    TERN_TRY_API(ReadItem((*input)[i], fmt::format("input[{}]", i), out.emplace_back()));
  return {};
}

}  // namespace

ApiStatus ReadResponses(const Json& body, ApiRequest& request) {
  for (const char* name : {"previous_response_id", "conversation"})
    if (Member(body, name) != nullptr)
      return Refuse(name,
                    "not supported: this server keeps no conversations, send all of the input");
  bool background = false;
  TERN_TRY_API(ReadBool({body, "background"}, background));
  if (background) return Refuse("background", "not supported, expected false");
  TERN_TRY_API(ReadString({body, "instructions"}, request.instructions));
  if (!request.instructions.empty())
    request.messages.push_back({.role = "system", .content = request.instructions});
  TERN_TRY_API(ReadInput(body, request.messages));
  TERN_TRY_API(ReadTools(body, false, request));
  if (const Json* metadata = Member(body, "metadata")) {
    if (!metadata->is_object()) return WrongType("metadata", *metadata, "an object");
    request.metadata = *metadata;
  }
  const Json* text = Member(body, "text");
  if (text == nullptr) return {};
  if (!text->is_object()) return WrongType("text", *text, "an object");
  const Json* format = Member(*text, "format");
  return format == nullptr ? ApiStatus()
                           : ReadFormat(*format, "text.format", false, request.format);
}

}  // namespace tern
