// What both tokenizer models share: the vocabulary, special tokens in text, and decoding.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/special_tokens.h"
#include "tokenizer/spelling_table.h"
#include "tokenizer/tokenizer.h"

namespace tern {

class VocabularyTokenizer : public Tokenizer {
 public:
  std::vector<TokenId> Encode(std::string_view text, const EncodeOptions& options) const final;
  std::string Piece(TokenId id, bool special) const final;
  std::string PieceAfter(std::optional<TokenId> previous, TokenId id, bool special) const final;
  std::string Decode(std::span<const TokenId> ids, bool special) const final;
  std::optional<TokenId> Find(std::string_view token) const final;
  bool IsEndOfGeneration(TokenId id) const final;

 protected:
  /// The spec has passed Tokenizer::Create's checks.
  explicit VocabularyTokenizer(TokenizerSpec spec);

  /// Appends the ids of text without special tokens. `at_start`: it stands at the beginning or
  /// after a special token.
  virtual void EncodePlain(std::string_view text, bool at_start,
                           std::vector<TokenId>& out) const = 0;

  /// The bytes that a token of this type (normal or user-defined) stands for.
  virtual std::string Unspell(std::string_view spelling, TokenType type) const = 0;

  /// Fills what depends on Unspell; the constructors of the models call it.
  void FillPieces();

  TokenType Type(TokenId id) const;
  /// A token that ordinary text may become: normal or user-defined. Control tokens never come out
  /// of merging, so a user can't smuggle one in by spelling it.
  bool IsText(TokenId id) const;
  bool InVocabulary(TokenId id) const { return id >= 0 && static_cast<size_t>(id) < size(); }
  const std::string& Bytes(TokenId id) const { return pieces_[static_cast<size_t>(id)]; }

  bool drops_first_space_ = false;  // decoding: at the beginning and after special tokens

 private:
  void MarkEnds();

  SpellingTable ids_;                // of all tokens; the last of equals counts
  SpecialTokens literal_;            // user-defined
  SpecialTokens parsed_;             // with control and unknown tokens
  std::vector<std::string> pieces_;  // bytes of each token
  std::vector<bool> ends_generation_;
};

/// The value of a byte token's spelling, "<0x41>".
std::optional<uint8_t> ByteTokenValue(std::string_view spelling);

}  // namespace tern
