// tiktoken rank files: one line per token, base64(bytes) SPACE decimal rank.
#pragma once

#include <string_view>

#include "base/result.h"
#include "tokenizer/tokenizer_spec.h"

namespace tern {

/// The vocabulary of a rank file with the special tokens of the family that its size names:
/// 128000 ranks are Llama-3 (256 specials from 128000 on), 151643 are Qwen (208 from 151643 on).
/// The merges are all splits of each token into two tokens, in the order of ranks, which gives the
/// same ids as merging by rank directly.
/// Errors: kCorrupt for a malformed line or a rank that is missing or double (the message names the
/// line), kUnsupported for another number of ranks.
Result<TokenizerSpec> ParseTiktoken(std::string_view text);

/// True when the text begins like such a file.
bool LooksLikeTiktoken(std::string_view text);

}  // namespace tern
