// SentencePiece-style BPE ("llama" in GGUF): characters merged by score, bytes for what is left.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "tokenizer/merge_table.h"
#include "tokenizer/spelling_table.h"
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
  /// Notes which characters stand side by side in a token that comes out of merging.
  void AddJoints(std::string_view spelling);
  bool CanMergeAcross(char32_t left, char32_t right) const;
  std::optional<int32_t> Symbol(std::string_view spelling) const;
  void EmitSymbol(int32_t symbol, std::vector<TokenId>& out) const;
  void EmitBytes(std::string_view bytes, std::vector<TokenId>& out) const;

  MergeTable merges_;
  // Merging can't cross a place between characters that no token has side by side, so text is
  // merged in pieces between such places (mostly words): the same ids, much faster.
  std::unordered_set<uint64_t> joints_;
  // Symbols >= 0 are tokens. A character that is no token is a negative symbol, and so is a byte
  // that is not UTF-8; they only matter for being spelled in bytes at the end.
  SpellingTable text_tokens_;
  std::array<std::optional<TokenId>, 256> byte_tokens_;
};

}  // namespace tern
