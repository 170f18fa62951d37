#include "tokenizer/sentencepiece_bpe.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "tokenizer/merge_rule.h"
#include "tokenizer/utf8.h"

namespace tern {
namespace {

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581 stands for a space in the vocabulary

constexpr int32_t kUnicodeEnd = 0x110000;

// Longer spellings are not split into merges: no vocabulary has any, and the work grows with their
// square.
constexpr size_t kLongestMergeable = 512;

constexpr int32_t CharacterSymbol(char32_t code_point) {
  return -1 - static_cast<int32_t>(code_point);
}

constexpr int32_t BrokenByteSymbol(uint8_t byte) { return -1 - kUnicodeEnd - byte; }

constexpr uint64_t Joint(char32_t left, char32_t right) {
  return (static_cast<uint64_t>(left) << 32) | right;
}

std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  out.reserve(text.size());
  for (;;) {
    const size_t at = text.find(from);
    out += text.substr(0, at);
    if (at == std::string_view::npos) return out;
    out += to;
    text.remove_prefix(at + from.size());
  }
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> SentencePieceTokenizer::Create(TokenizerSpec spec) {
  const bool finite = std::all_of(spec.scores.begin(), spec.scores.end(),
                                  [](float score) { return std::isfinite(score); });
  if (!finite) return Fail(Code::kCorrupt, "scores: found one that is not a finite number");
  std::unique_ptr<SentencePieceTokenizer> out(new SentencePieceTokenizer(std::move(spec)));
  if (out->spec_.merges.empty()) {
    out->FillMergesFromScores();
  } else {
    TERN_TRY(out->FillMergesFromRules());
  }
  return out;
}

SentencePieceTokenizer::SentencePieceTokenizer(TokenizerSpec spec)
    : VocabularyTokenizer(std::move(spec)) {
  FillPieces();
  drops_first_space_ = spec_.add_space_prefix;
  text_tokens_.Reserve(size());
  for (size_t i = 0; i < size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (IsText(id)) text_tokens_.Set(spec_.tokens[i], id);
    if (Type(id) == TokenType::kByte)
      if (const auto byte = ByteTokenValue(spec_.tokens[i])) byte_tokens_[*byte] = id;
  }
}

std::optional<int32_t> SentencePieceTokenizer::Symbol(std::string_view spelling) const {
  if (const auto found = text_tokens_.Find(spelling)) return found;
  const Utf8Step step = NextUtf8(spelling);
  if (step.kind == Utf8Kind::kCharacter && step.length == spelling.size())
    return CharacterSymbol(step.code_point);
  return std::nullopt;
}

void SentencePieceTokenizer::FillMergesFromScores() {
  const auto score_of = [this](TokenId id) {
    return spec_.scores.empty() ? 0.0F : spec_.scores[static_cast<size_t>(id)];
  };
  std::vector<float> scores;
  text_tokens_.ForEach([&](std::string_view, TokenId id) { scores.push_back(score_of(id)); });
  std::sort(scores.begin(), scores.end(), std::greater<>());
  scores.erase(std::unique(scores.begin(), scores.end()), scores.end());

  merges_.Reserve(text_tokens_.size() * 2);
  text_tokens_.ForEach([&](std::string_view spelling, TokenId id) {
    if (spelling.size() > kLongestMergeable) return;
    const auto place =
        std::lower_bound(scores.begin(), scores.end(), score_of(id), std::greater<>());
    const auto rank = static_cast<uint32_t>(place - scores.begin());
    for (size_t cut = 1; cut < spelling.size(); ++cut) {
      const auto left = Symbol(spelling.substr(0, cut));
      if (!left) continue;
      const auto right = Symbol(spelling.substr(cut));
      if (right) merges_.Add(*left, *right, rank, id);
    }
    AddJoints(spelling);
  });
}

Status SentencePieceTokenizer::FillMergesFromRules() {
  merges_.Reserve(spec_.merges.size());
  std::string joined;
  for (size_t i = 0; i < spec_.merges.size(); ++i) {
    TERN_ASSIGN_OR_RETURN(const auto parts, SplitMergeRule(spec_.merges[i], i));
    joined.assign(parts.first).append(parts.second);
    const auto left = Symbol(parts.first);
    const auto right = Symbol(parts.second);
    const auto result = text_tokens_.Find(joined);
    if (!left || !right || !result) continue;
    merges_.Add(*left, *right, static_cast<uint32_t>(i), *result);
    AddJoints(joined);
  }
  return {};
}

void SentencePieceTokenizer::AddJoints(std::string_view spelling) {
  std::optional<char32_t> previous;
  while (!spelling.empty()) {
    const Utf8Step step = NextUtf8(spelling);
    const bool character = step.kind == Utf8Kind::kCharacter;
    if (previous && character) joints_.insert(Joint(*previous, step.code_point));
    previous = character ? std::optional(step.code_point) : std::nullopt;
    spelling.remove_prefix(step.length);
  }
}

bool SentencePieceTokenizer::CanMergeAcross(char32_t left, char32_t right) const {
  return joints_.contains(Joint(left, right));
}

std::string SentencePieceTokenizer::Unspell(std::string_view spelling, TokenType /*type*/) const {
  return ReplaceAll(spelling, kSpace, " ");
}

void SentencePieceTokenizer::EncodePlain(std::string_view text, bool at_start,
                                         std::vector<TokenId>& out) const {
  std::string spelled = spec_.add_space_prefix && at_start ? std::string(kSpace) : std::string();
  spelled += ReplaceAll(text, " ", kSpace);
  std::vector<int32_t> symbols;
  const auto flush = [&] {
    merges_.Apply(symbols);
    for (const int32_t symbol : symbols) EmitSymbol(symbol, out);
    symbols.clear();
  };
  std::optional<char32_t> previous;
  for (std::string_view rest = spelled; !rest.empty();) {
    const Utf8Step step = NextUtf8(rest);
    const std::string_view found = rest.substr(0, step.length);
    if (step.kind == Utf8Kind::kCharacter) {
      if (previous && !CanMergeAcross(*previous, step.code_point)) flush();
      symbols.push_back(*Symbol(found));
      previous = step.code_point;
    } else {
      for (const char c : found) symbols.push_back(BrokenByteSymbol(static_cast<uint8_t>(c)));
    }
    rest.remove_prefix(step.length);
  }
  flush();
}

void SentencePieceTokenizer::EmitSymbol(int32_t symbol, std::vector<TokenId>& out) const {
  if (symbol >= 0) {
    out.push_back(symbol);
    return;
  }
  std::string bytes;
  if (symbol <= BrokenByteSymbol(0)) {
    bytes.push_back(static_cast<char>(BrokenByteSymbol(0) - symbol));
  } else {
    AppendUtf8(static_cast<char32_t>(CharacterSymbol(0) - symbol), bytes);
  }
  EmitBytes(bytes, out);
}

void SentencePieceTokenizer::EmitBytes(std::string_view bytes, std::vector<TokenId>& out) const {
  const bool spelled = std::all_of(bytes.begin(), bytes.end(), [this](char c) {
    return byte_tokens_[static_cast<uint8_t>(c)].has_value();
  });
  if (spelled) {
    for (const char c : bytes) out.push_back(*byte_tokens_[static_cast<uint8_t>(c)]);
  } else if (spec_.unknown) {
    out.push_back(*spec_.unknown);
  }
}

}  // namespace tern
