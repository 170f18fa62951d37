// From a conversation to the text that the model reads.
#pragma once

#include <vector>

#include "server/api_request.h"
#include "tokenizer/chat_template.h"

namespace tern {

/// The rendered conversation, the assistant's turn begun. Errors: status 400 naming the field.
ApiResult<std::vector<ChatSegment>> RenderPrompt(const ApiRequest& request,
                                                 const ChatTemplate& chat_template);

/// The field that holds the prompt.
const char* PromptField(Endpoint endpoint);

}  // namespace tern
