// The tokenizer that GGUF metadata describe (docs/formats.md, tokenizers).
#pragma once

#include "base/result.h"
#include "formats/metadata.h"
#include "model/tokenizer_source.h"
#include "tokenizer/tokenizer_spec.h"

namespace tern {

/// True when there is a tokenizer among them.
bool HasTokenizer(const Metadata& metadata);

/// Errors: kNotFound without a model, tokens or the merges of a byte-level BPE; kUnsupported for
/// another model than "gpt2" and "llama" and for an unknown pre-tokenizer; kCorrupt for arrays of
/// different lengths, illegal token types and ids out of range. Messages name the key.
Result<TokenizerSpec> SpecFromMetadata(const Metadata& metadata,
                                       const TokenizerSourceOptions& options);

}  // namespace tern
