// tokenizer.json of Hugging Face's tokenizers: the part of it that language models with BPE use.
#pragma once

#include <string_view>

#include "base/result.h"
#include "tokenizer/tokenizer_spec.h"

namespace tern {

/// Models of type BPE with byte-level pre-tokenization, and SentencePiece-like ones (byte_fallback,
/// spaces replaced by U+2581). Split expressions must be known ones (pretokenizer.h).
/// Errors: kCorrupt for what is not JSON or contradicts itself; kUnsupported for another model,
/// expression, normalizer or pre-tokenizer, which the message names. What only touches rare text
/// (NFC normalisation, stripping around added tokens) is left out and said in spec.note.
Result<TokenizerSpec> ParseTokenizerJson(std::string_view text);

}  // namespace tern
