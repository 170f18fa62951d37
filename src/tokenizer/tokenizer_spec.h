// Everything a tokenizer is made of, whatever file it came from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/types.h"

namespace tern {

enum class TokenizerModel : uint8_t { kByteBpe, kSentencePieceBpe };

/// Values of tokenizer.ggml.token_type.
enum class TokenType : uint8_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

struct TokenizerSpec {
  TokenizerModel model = TokenizerModel::kByteBpe;
  /// Name of the pre-tokenizer (tokenizer.ggml.pre), e.g. "llama-bpe", "qwen2"; byte-level BPE only.
  std::string pre;
  std::vector<std::string> tokens;  // index = id; byte-level BPE: in GPT-2's printable alphabet
  std::vector<TokenType> types;     // same size as tokens
  std::vector<float> scores;        // SentencePiece: same size as tokens
  std::vector<std::string> merges;  // byte-level BPE: "left right", best first
  std::optional<TokenId> bos, eos, eot, unknown, padding;
  bool add_bos = false;
  bool add_eos = false;
  bool add_space_prefix = true;  // SentencePiece only
  std::optional<bool> ignore_merges;  // absent: by pre-tokenizer
  std::string chat_template;          // Jinja text as found, may be empty
  std::string note;                   // what was mended or assumed on loading, for the user; may be empty
};

}  // namespace tern
