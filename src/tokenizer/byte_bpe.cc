#include "tokenizer/byte_bpe.h"

#include <limits>
#include <utility>

#include "tokenizer/byte_alphabet.h"
#include "tokenizer/merge_rule.h"
#include "tokenizer/utf8.h"

namespace tern {

Result<std::unique_ptr<Tokenizer>> ByteBpeTokenizer::Create(TokenizerSpec spec) {
  TERN_ASSIGN_OR_RETURN(Pretokenizer pretokenizer, Pretokenizer::Create(spec.pre));
  std::unique_ptr<ByteBpeTokenizer> out(
      new ByteBpeTokenizer(std::move(spec), std::move(pretokenizer)));
  TERN_TRY(out->FillMerges());
  return out;
}

ByteBpeTokenizer::ByteBpeTokenizer(TokenizerSpec spec, Pretokenizer pretokenizer)
    : VocabularyTokenizer(std::move(spec)), pretokenizer_(std::move(pretokenizer)) {
  FillPieces();
  symbols_.Reserve(this->size());
  for (size_t i = 0; i < this->size(); ++i)
    if (IsText(static_cast<TokenId>(i))) symbols_.Add(spec_.tokens[i], static_cast<int32_t>(i));
  for (size_t byte = 0; byte < 256; ++byte) {
    std::string spelling;
    AppendUtf8(AlphabetCharacter(static_cast<uint8_t>(byte)), spelling);
    byte_symbols_[byte] = Symbol(spelling);
  }
  if (!spec_.ignore_merges.value_or(pretokenizer_.traits().ignore_merges)) return;
  whole_pieces_.Reserve(this->size());
  for (size_t i = 0; i < this->size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (IsText(id) && Type(id) != TokenType::kUserDefined) whole_pieces_.Add(Bytes(id), id);
  }
}

int32_t ByteBpeTokenizer::Symbol(std::string_view spelling) {
  if (const auto found = symbols_.Find(spelling)) return *found;
  const auto symbol = static_cast<int32_t>(size() + missing_.size());
  symbols_.Add(missing_.emplace_back(spelling), symbol);
  return symbol;
}

Status ByteBpeTokenizer::FillMerges() {
  merges_.Reserve(spec_.merges.size());
  std::string joined;
  for (size_t i = 0; i < spec_.merges.size(); ++i) {
    TERN_ASSIGN_OR_RETURN(const auto parts, SplitMergeRule(spec_.merges[i], i));
    joined.assign(parts.first).append(parts.second);
    const int32_t left = Symbol(parts.first);
    const int32_t right = Symbol(parts.second);
    merges_.Add(left, right, static_cast<uint32_t>(i), Symbol(joined));
  }
  return {};
}

std::string ByteBpeTokenizer::Unspell(std::string_view spelling, TokenType type) const {
  return type == TokenType::kUserDefined ? std::string(spelling) : FromAlphabet(spelling);
}

void ByteBpeTokenizer::EncodePlain(std::string_view text, bool /*at_start*/,
                                   std::vector<TokenId>& out) const {
  std::vector<int32_t> symbols;
  while (!text.empty()) {
    const size_t valid = ValidUtf8Prefix(text);
    for (const std::string_view piece : pretokenizer_.Split(text.substr(0, valid)))
      EncodePiece(piece, symbols, out);
    text.remove_prefix(valid);
    if (text.empty()) return;
    const size_t broken = NextUtf8(text).length;
    for (const char c : text.substr(0, broken)) EmitByte(static_cast<uint8_t>(c), out);
    text.remove_prefix(broken);
  }
}

void ByteBpeTokenizer::EncodePiece(std::string_view piece, std::vector<int32_t>& symbols,
                                   std::vector<TokenId>& out) const {
  if (const auto whole = whole_pieces_.Find(piece)) {
    out.push_back(*whole);
    return;
  }
  symbols.clear();
  for (const char c : piece) symbols.push_back(byte_symbols_[static_cast<uint8_t>(c)]);
  merges_.Apply(symbols);
  for (const int32_t symbol : symbols) EmitSymbol(symbol, out);
}

void ByteBpeTokenizer::EmitSymbol(int32_t symbol, std::vector<TokenId>& out) const {
  if (InVocabulary(symbol)) {
    out.push_back(symbol);
    return;
  }
  const std::string& spelling = missing_[static_cast<size_t>(symbol) - size()];
  for (const char c : FromAlphabet(spelling)) EmitByte(static_cast<uint8_t>(c), out);
}

void ByteBpeTokenizer::EmitByte(uint8_t byte, std::vector<TokenId>& out) const {
  if (InVocabulary(byte_symbols_[byte])) {
    out.push_back(byte_symbols_[byte]);
  } else if (spec_.unknown) {
    out.push_back(*spec_.unknown);
  }
}

}  // namespace tern
