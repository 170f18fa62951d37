// SentencePiece model files (tokenizer.model): a protocol-buffer message ModelProto.
#pragma once

#include <string_view>

#include "base/result.h"
#include "tokenizer/tokenizer_spec.h"

namespace tern {

/// The vocabulary of a model of type BPE. Fields read: pieces (1: piece, score, type), trainer_spec
/// (2: model_type, unk_id, bos_id, eos_id, pad_id), normalizer_spec (3: add_dummy_prefix,
/// remove_extra_whitespaces, precompiled_charsmap).
/// Errors: kCorrupt for a malformed message, kUnsupported for another model type and for
/// normalisation that tern doesn't do.
Result<TokenizerSpec> ParseSentencePieceModel(std::string_view bytes);

/// True when the bytes begin like such a file.
bool LooksLikeSentencePieceModel(std::string_view bytes);

}  // namespace tern
