#include "tokenizer/vocabulary_tokenizer.h"

#include <charconv>
#include <utility>

namespace tern {
namespace {

// Ends of a turn or of a text in the model families that tern knows, whatever the file says.
constexpr std::string_view kEndTokens[] = {
    "<|eot_id|>",    "<|eom_id|>", "<|end_of_text|>", "<|im_end|>",
    "<|endoftext|>", "<|end|>",    "<end_of_turn>",   "<|end_of_turn|>",
};

}  // namespace

std::optional<uint8_t> ByteTokenValue(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling[5] != '>')
    return std::nullopt;
  uint8_t value = 0;
  const char* end = spelling.data() + 5;
  const auto [stop, error] = std::from_chars(spelling.data() + 3, end, value, 16);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

VocabularyTokenizer::VocabularyTokenizer(TokenizerSpec spec) : Tokenizer(std::move(spec)) {
  ids_.Reserve(size());
  for (size_t i = 0; i < size(); ++i) ids_.Set(spec_.tokens[i], static_cast<TokenId>(i));
  MarkEnds();
  for (size_t i = 0; i < size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const std::string_view spelling = spec_.tokens[i];
    const TokenType type = Type(id);
    if (type == TokenType::kUserDefined) literal_.Add(spelling, id);
    if (type == TokenType::kUserDefined || type == TokenType::kControl ||
        type == TokenType::kUnknown)
      parsed_.Add(spelling, id);
  }
}

void VocabularyTokenizer::MarkEnds() {
  ends_generation_.assign(size(), false);
  const auto mark = [this](std::optional<TokenId> id) {
    if (id && InVocabulary(*id)) ends_generation_[static_cast<size_t>(*id)] = true;
  };
  mark(spec_.eos);
  mark(spec_.eot);
  for (const TokenId id : spec_.stops) mark(id);
  for (const std::string_view name : kEndTokens) {
    const std::optional<TokenId> id = Find(name);
    mark(id);
    if (!id || Type(*id) != TokenType::kNormal) continue;
    // Some files say that it is ordinary text; then it would be printed and could not be parsed.
    spec_.types.resize(size(), TokenType::kNormal);
    spec_.types[static_cast<size_t>(*id)] = TokenType::kControl;
  }
}

void VocabularyTokenizer::FillPieces() {
  pieces_.reserve(size());
  for (size_t i = 0; i < size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const std::string& spelling = spec_.tokens[i];
    const std::optional<uint8_t> byte =
        Type(id) == TokenType::kByte ? ByteTokenValue(spelling) : std::nullopt;
    if (byte) {
      pieces_.emplace_back(1, static_cast<char>(*byte));
    } else {
      pieces_.push_back(IsText(id) ? Unspell(spelling, Type(id)) : spelling);
    }
  }
}

TokenType VocabularyTokenizer::Type(TokenId id) const {
  return spec_.types.empty() ? TokenType::kNormal : spec_.types[static_cast<size_t>(id)];
}

bool VocabularyTokenizer::IsText(TokenId id) const {
  const TokenType type = Type(id);
  return type == TokenType::kNormal || type == TokenType::kUserDefined;
}

std::vector<TokenId> VocabularyTokenizer::Encode(std::string_view text,
                                                 const EncodeOptions& options) const {
  std::vector<TokenId> out;
  const SpecialTokens& specials = options.parse_special ? parsed_ : literal_;
  const std::vector<TextFragment> fragments = specials.Split(text);
  const bool has_bos = !fragments.empty() && fragments[0].token && fragments[0].token == spec_.bos;
  if (options.add_bos && spec_.bos && !has_bos) out.push_back(*spec_.bos);
  bool at_start = true;
  for (const TextFragment& fragment : fragments) {
    if (fragment.token) {
      out.push_back(*fragment.token);
    } else {
      EncodePlain(fragment.text, at_start, out);
    }
    at_start = fragment.token.has_value();
  }
  if (options.add_eos && spec_.eos) out.push_back(*spec_.eos);
  return out;
}

std::string VocabularyTokenizer::Piece(TokenId id, bool special) const {
  if (!InVocabulary(id)) return {};
  const TokenType type = Type(id);
  if (!special && (type == TokenType::kControl || type == TokenType::kUnknown)) return {};
  return Bytes(id);
}

std::string VocabularyTokenizer::PieceAfter(std::optional<TokenId> previous, TokenId id,
                                            bool special) const {
  std::string piece = Piece(id, special);
  if (!drops_first_space_ || !piece.starts_with(' ') || Type(id) != TokenType::kNormal)
    return piece;
  const bool at_start =
      !previous || (InVocabulary(*previous) && (Type(*previous) == TokenType::kControl ||
                                                Type(*previous) == TokenType::kUserDefined));
  return at_start ? piece.substr(1) : piece;
}

std::string VocabularyTokenizer::Decode(std::span<const TokenId> ids, bool special) const {
  std::string out;
  std::optional<TokenId> previous;
  for (const TokenId id : ids) {
    out += PieceAfter(previous, id, special);
    previous = id;
  }
  return out;
}

std::optional<TokenId> VocabularyTokenizer::Find(std::string_view token) const {
  return ids_.Find(token);
}

bool VocabularyTokenizer::IsEndOfGeneration(TokenId id) const {
  return InVocabulary(id) && ends_generation_[static_cast<size_t>(id)];
}

}  // namespace tern
