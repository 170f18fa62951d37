// Everything a tokenizer is made of, whatever file it came from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/types.h"

namespace tern {

enum class TokenizerModel : uint8_t { kByteBpe, kSentencePieceBpe };

/// Values of tokenizer.ggml.token_type.
enum class TokenType : uint8_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

struct TokenizerSpec {
  TokenizerModel model = TokenizerModel::kByteBpe;
  /// Name of the pre-tokenizer (tokenizer.ggml.pre), e.g. "llama-bpe", "qwen2"; byte-level BPE
  /// only.
  std::string pre;
  std::vector<std::string> tokens;  // index = id; byte-level BPE: in GPT-2's printable alphabet
  std::vector<TokenType> types;     // same size as tokens, or empty: all normal
  std::vector<float> scores;        // SentencePiece: same size as tokens, or empty: all 0
  /// "left right", best first, split at the first space at index >= 1. Byte-level BPE: what it
  /// merges. SentencePiece: usually empty; when there are any, they decide instead of the scores.
  std::vector<std::string> merges;
  std::optional<TokenId> bos, eos, eot, unknown, padding;
  std::vector<TokenId> stops;  // further tokens that end a generation (generation_config.json)
  bool add_bos = false;
  bool add_eos = false;
  bool add_space_prefix = true;       // SentencePiece only
  std::optional<bool> ignore_merges;  // absent: by pre-tokenizer
  std::string chat_template;          // Jinja text as found, may be empty
  std::string note;  // what was mended or assumed on loading, for the user; may be empty

  void AddNote(std::string_view sentence) {
    if (!note.empty()) note += "; ";
    note += sentence;
  }
};

}  // namespace tern
