#include "server/chat_prompt.h"

namespace tern {

const char* PromptField(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::kCompletion:
      return "prompt";
    case Endpoint::kChat:
      return "messages";
    case Endpoint::kResponses:
      break;
  }
  return "input";
}

ApiResult<std::vector<ChatSegment>> RenderPrompt(const ApiRequest& request, ChatFamily family,
                                                 const Tokenizer& tokenizer) {
  if (!request.tools.empty())
    return Refuse("tools", "not supported by this model's chat template, expected no tools");
  std::vector<ChatMessage> messages;
  for (const ApiMessage& message : request.messages)
    messages.push_back({message.role, message.content});
  auto segments = RenderChat(family, tokenizer, messages, {});
  if (!segments) return tl::unexpected<ApiError>(ApiError{400, segments.error().message, PromptField(request.endpoint)});
  return *std::move(segments);
}

}  // namespace tern
