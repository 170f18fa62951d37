// SentencePiece-style BPE ("llama" in GGUF): characters merged by score, bytes for what is left.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/merge_table.h"
#include "tokenizer/vocabulary_tokenizer.h"

namespace tern {

class SentencePieceTokenizer final : public VocabularyTokenizer {
 public:
  /// The spec has passed Tokenizer::Create's checks. Errors: see there.
  static Result<std::unique_ptr<Tokenizer>> Create(TokenizerSpec spec);

 private:
  explicit SentencePieceTokenizer(TokenizerSpec spec);

  void EncodePlain(std::string_view text, bool at_start, std::vector<TokenId>& out) const override;
  std::string Unspell(std::string_view spelling, TokenType type) const override;

  /// Which symbols merge follows from the scores: every split of a token into two symbols.
  void FillMergesFromScores();
  Status FillMergesFromRules();
  std::optional<int32_t> Symbol(std::string_view spelling) const;
  void EmitSymbol(int32_t symbol, std::vector<TokenId>& out) const;
  void EmitBytes(std::string_view bytes, std::vector<TokenId>& out) const;

  MergeTable merges_;
  // Symbols >= 0 are tokens. A character that is no token is a negative symbol, and so is a byte
  // that is not UTF-8; they only matter for being spelled in bytes at the end.
  std::unordered_map<std::string_view, TokenId> text_tokens_;  // by spelling
  std::array<std::optional<TokenId>, 256> byte_tokens_;
};

}  // namespace tern
