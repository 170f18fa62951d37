// Where a tokenizer comes from: GGUF metadata, a Hugging Face folder, tokenizer.json, tiktoken or
// SentencePiece files.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "formats/weight_source.h"
#include "tokenizer/tokenizer_spec.h"

namespace tern {

struct TokenizerSourceOptions {
  /// Name of the pre-tokenizer to use whatever the file says, e.g. "default" to reproduce
  /// bitnet.cpp on the published 2B-4T file. Byte-level BPE only; an unknown name is an error of
  /// Tokenizer::Create.
  std::optional<std::string> pre_override;
};

/// The tokenizer that belongs to opened weights: GGUF metadata when it has `tokenizer.ggml.model`,
/// else the files of the Hugging Face folder that source.path() names. Errors: kNotFound without a
/// tokenizer, kUnsupported for one of another kind (the message says which), kCorrupt for arrays of
/// different lengths, ids out of range and illegal token types. Messages name the file and the
/// field.
Result<TokenizerSpec> ReadTokenizerSpec(const WeightSource& source,
                                        const TokenizerSourceOptions& options);

/// The same from a path, decided by what it is, not by its name: a GGUF file (also one of
/// vocabulary only), a Hugging Face folder, a tokenizer.json, a tiktoken rank file, a SentencePiece
/// model of type BPE.
Result<TokenizerSpec> LoadTokenizerSpec(const std::string& path,
                                        const TokenizerSourceOptions& options);

}  // namespace tern
