// Text to token ids and back.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "tokenizer/tokenizer_spec.h"

namespace tern {

struct EncodeOptions {
  bool add_bos = false;  // prepend BOS (callers pass spec().add_bos for prompts)
  bool add_eos = false;
  bool parse_special = false;  // control tokens written in the text become their ids
};

/// Thread rule: immutable after Create, safe to share.
class Tokenizer {
 public:
  /// Errors: kCorrupt for a spec that contradicts itself (arrays of different lengths, ids out of
  /// range, a merge that is not two parts; a merge of unknown parts is no error), kUnsupported for
  /// an unknown pre-tokenizer.
  static Result<std::unique_ptr<Tokenizer>> Create(TokenizerSpec spec);
  virtual ~Tokenizer() = default;

  /// Never fails, any bytes will do. Bytes that are not UTF-8 become tokens of single bytes, so
  /// they survive wherever the vocabulary spells all 256. User-defined tokens are matched
  /// literally, with `parse_special` control tokens too (leftmost first, the longest there). A BOS
  /// that the text itself begins with is not doubled.
  virtual std::vector<TokenId> Encode(std::string_view text,
                                      const EncodeOptions& options) const = 0;

  /// Raw bytes of one token as they appear in text; control tokens give "" unless `special`.
  /// An id outside the vocabulary (padding rows) gives "".
  virtual std::string Piece(TokenId id, bool special = false) const = 0;

  /// Piece of `id` where it follows `previous` (nothing: at the beginning): without the space that
  /// SentencePiece's Encode puts before the text there.
  virtual std::string PieceAfter(std::optional<TokenId> previous, TokenId id,
                                 bool special = false) const = 0;

  /// Text of a whole sequence: PieceAfter joined. The inverse of Encode with the same tokens added.
  virtual std::string Decode(std::span<const TokenId> ids, bool special = false) const = 0;

  const TokenizerSpec& spec() const { return spec_; }
  size_t size() const { return spec_.tokens.size(); }
  /// The id of a token by its exact spelling in the vocabulary.
  virtual std::optional<TokenId> Find(std::string_view token) const = 0;
  /// True for tokens after which generation stops: eos, eot, the spec's stops, and the end-of-turn
  /// tokens of the model families by name ("<|eot_id|>", "<|im_end|>", ...), which count as control
  /// tokens even where a file calls them normal.
  virtual bool IsEndOfGeneration(TokenId id) const = 0;

 protected:
  explicit Tokenizer(TokenizerSpec spec) : spec_(std::move(spec)) {}
  TokenizerSpec spec_;
};

}  // namespace tern
