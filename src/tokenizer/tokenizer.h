// Text to token ids and back.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tokenizer/tokenizer_spec.h"

namespace tern {

struct EncodeOptions {
  bool add_bos = false;        // prepend BOS (callers pass spec().add_bos for prompts)
  bool add_eos = false;
  bool parse_special = false;  // control tokens written in the text become their ids
};

/// Thread rule: immutable after Create, safe to share.
class Tokenizer {
 public:
  /// Errors: kCorrupt for a spec that contradicts itself (a merge of unknown tokens is skipped, not an error),
  /// kUnsupported for an unknown pre-tokenizer.
  static Result<std::unique_ptr<Tokenizer>> Create(TokenizerSpec spec);
  virtual ~Tokenizer() = default;

  /// Never fails: bytes that are not UTF-8 are encoded through byte tokens where the vocabulary has them.
  virtual std::vector<TokenId> Encode(std::string_view text, const EncodeOptions& options) const = 0;

  /// Raw bytes of one token as they appear in text; control tokens give "" unless `special`.
  /// An id outside the vocabulary (padding rows) gives "".
  virtual std::string Piece(TokenId id, bool special = false) const = 0;

  /// Text of a whole sequence: pieces joined; SentencePiece's leading space dropped.
  virtual std::string Decode(std::span<const TokenId> ids, bool special = false) const = 0;

  const TokenizerSpec& spec() const { return spec_; }
  size_t size() const { return spec_.tokens.size(); }
  /// The id of a token by its exact spelling in the vocabulary.
  virtual std::optional<TokenId> Find(std::string_view token) const = 0;
  /// True for tokens after which generation stops: eos, eot and the family's end-of-turn tokens.
  virtual bool IsEndOfGeneration(TokenId id) const = 0;

 protected:
  explicit Tokenizer(TokenizerSpec spec) : spec_(std::move(spec)) {}
  TokenizerSpec spec_;
};

}  // namespace tern
