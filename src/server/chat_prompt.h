// From a conversation to the text that the model reads.
#pragma once

#include <vector>

#include "server/api_request.h"
#include "tokenizer/chat_format.h"

namespace tern {

/// The rendered conversation, the assistant's turn begun. Errors: status 400 naming the field.
ApiResult<std::vector<ChatSegment>> RenderPrompt(const ApiRequest& request, ChatFamily family,
                                                 const Tokenizer& tokenizer);

/// The field that holds the prompt.
const char* PromptField(Endpoint endpoint);

}  // namespace tern
