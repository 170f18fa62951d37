#include "server/chat_prompt.h"

#include <ctime>

namespace tern {
namespace {

Json ToJson(const ApiMessage& message) {
  Json json = {{"role", message.role}, {"content", message.content}};
  if (!message.tool_calls.is_null()) json["tool_calls"] = message.tool_calls;
  if (!message.tool_call_id.empty()) json["tool_call_id"] = message.tool_call_id;
  if (!message.name.empty()) json["name"] = message.name;
  return json;
}

}  // namespace

const char* PromptField(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::kCompletion:
    case Endpoint::kNative:
      return "prompt";
    case Endpoint::kChat:
      return "messages";
    case Endpoint::kResponses:
      break;
  }
  return "input";
}

ApiResult<std::vector<ChatSegment>> RenderPrompt(const ApiRequest& request,
                                                 const ChatTemplate& chat_template) {
  if (!request.tools.empty() && !chat_template.takes_tools())
    return Refuse("tools", "not supported by this model's chat template, expected no tools");
  ChatInput input;
  input.messages = Json::array();
  for (const ApiMessage& message : request.messages) input.messages.push_back(ToJson(message));
  if (!request.tools.empty()) input.tools = request.tools;
  if (!request.template_arguments.empty()) {
    input.variables = request.template_arguments;
    const Json* thinking = Member(request.template_arguments, "enable_thinking");
    if (thinking != nullptr && thinking->is_boolean()) input.thinking = thinking->get<bool>();
  }
  const std::time_t now = std::time(nullptr);
  std::tm local = {};
  if (localtime_r(&now, &local) != nullptr) input.now = local;
  auto rendered = chat_template.Render(input);
  if (!rendered)
    return tl::unexpected<ApiError>(
        ApiError{400, rendered.error().message, PromptField(request.endpoint)});
  return std::move(rendered->segments);
}

}  // namespace tern
