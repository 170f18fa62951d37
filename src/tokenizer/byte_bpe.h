// Byte-level BPE (GPT-2 and its descendants).
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/merge_table.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/spelling_table.h"
#include "tokenizer/vocabulary_tokenizer.h"

namespace tern {

class ByteBpeTokenizer final : public VocabularyTokenizer {
 public:
  /// The spec has passed Tokenizer::Create's checks. Errors: see there.
  static Result<std::unique_ptr<Tokenizer>> Create(TokenizerSpec spec);

 private:
  ByteBpeTokenizer(TokenizerSpec spec, Pretokenizer pretokenizer);

  void EncodePlain(std::string_view text, bool at_start, std::vector<TokenId>& out) const override;
  std::string Unspell(std::string_view spelling, TokenType type) const override;

  Status FillMerges();
  int32_t Symbol(std::string_view spelling);
  void EncodePiece(std::string_view piece, std::vector<int32_t>& symbols,
                   std::vector<TokenId>& out) const;
  void EmitSymbol(int32_t symbol, std::vector<TokenId>& out) const;
  void EmitByte(uint8_t byte, std::vector<TokenId>& out) const;

  Pretokenizer pretokenizer_;
  MergeTable merges_;
  std::array<int32_t, 256> byte_symbols_{};
  // Symbols below size() are tokens. Spellings that merges mention but the vocabulary lacks are
  // symbols from size() on: they take part in merging and fall back to bytes at the end.
  SpellingTable symbols_;
  std::deque<std::string> missing_;  // spellings of the symbols from size() on
  // Whole pieces to tokens, by bytes; empty unless merges are ignored for them.
  SpellingTable whole_pieces_;
};

}  // namespace tern
