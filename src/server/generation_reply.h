// An answer that an engine writes, as an HTTP reply.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/answer.h"
#include "server/http.h"

namespace tern {

/// handles[p]: the request for prompt p. Destroying the reply cancels them. `tokenizer` must
/// outlive it.
std::unique_ptr<HttpReply> NewGenerationReply(std::unique_ptr<const ApiRequest> request,
                                              AnswerContext context, const Tokenizer& tokenizer,
                                              std::vector<RequestHandle> handles);

/// What a client is told of an engine's error; `field` is where the prompt stood.
ApiError ToApiError(const Error& error, const char* field);

/// An error as a whole reply. The log gets the status and the field, nothing that the client wrote.
std::unique_ptr<HttpReply> ErrorReply(const ApiError& error);

}  // namespace tern
