// The files beside a tokenizer.json that say which tokens begin and end a text.
#pragma once

#include <string_view>

#include "base/result.h"
#include "tokenizer/tokenizer_spec.h"

namespace tern {

/// bos, eos, unknown and padding tokens, add_bos_token, add_eos_token and chat_template from
/// tokenizer_config.json. What the file doesn't say stays as it is.
Status ApplyTokenizerConfig(std::string_view text, TokenizerSpec& spec);

/// bos_token_id, pad_token_id and eos_token_id (a number or a list, all of which become stops)
/// from generation_config.json or config.json. Ids already known stay.
Status ApplyGenerationConfig(std::string_view text, TokenizerSpec& spec);

}  // namespace tern
