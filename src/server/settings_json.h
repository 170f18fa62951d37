// What a text is generated with, in llama-server's names.
#pragma once

#include "server/api_request.h"

namespace tern {

/// `generation_settings` of an answer to POST /completion. Sent with a prompt, the object asks for
/// the same answer again.
Json SettingsJson(const ApiRequest& request);

}  // namespace tern
