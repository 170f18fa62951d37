// Grammars for what a request says about its text and its tools.
#pragma once

#include <memory>

#include "grammar/grammar.h"
#include "server/api_request.h"

namespace tern {

/// The grammar of request.format, or that of a call where tool_choice wants one; nullptr: any text.
/// Errors: status 400 naming the field, for what is no grammar or can't be held to.
ApiResult<std::shared_ptr<const Grammar>> GrammarOf(const ApiRequest& request);

}  // namespace tern
