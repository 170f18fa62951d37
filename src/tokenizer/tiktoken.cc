#include "tokenizer/tiktoken.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "tokenizer/byte_alphabet.h"
#include "tokenizer/spelling_table.h"

namespace tern {
namespace {

constexpr size_t kLlama3Ranks = 128000;
constexpr size_t kQwenRanks = 151643;

// Longer tokens are not split into merges; no vocabulary has any (Llama-3's longest is 128 bytes).
constexpr size_t kLongestMergeable = 512;

struct RankedToken {
  std::string bytes;
  size_t rank;
};

std::optional<uint32_t> Base64Digit(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<uint32_t>(c - 'A');
  if (c >= 'a' && c <= 'z') return static_cast<uint32_t>(c - 'a' + 26);
  if (c >= '0' && c <= '9') return static_cast<uint32_t>(c - '0' + 52);
  if (c == '+') return 62;
  if (c == '/') return 63;
  return std::nullopt;
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  std::string out;
  uint32_t bits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool pad = i >= text.size() - padding;
    const std::optional<uint32_t> digit = pad ? 0 : Base64Digit(text[i]);
    if (!digit) return std::nullopt;
    bits = (bits << 6) | *digit;
    if (i % 4 != 3) continue;
    for (const int shift : {16, 8, 0}) out.push_back(static_cast<char>((bits >> shift) & 0xff));
    bits = 0;
  }
  out.resize(out.size() - padding);
  return out;
}

std::optional<RankedToken> ParseLine(std::string_view line) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  std::optional<std::string> bytes = DecodeBase64(line.substr(0, space));
  size_t rank = 0;
  const char* end = line.data() + line.size();
  const auto [stop, error] = std::from_chars(line.data() + space + 1, end, rank);
  if (!bytes || error != std::errc() || stop != end) return std::nullopt;
  return RankedToken{std::move(*bytes), rank};
}

std::string_view TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

/// Bytes of each token, index = rank.
Result<std::vector<std::string>> ParseRanks(std::string_view text) {
  std::vector<RankedToken> lines;
  for (size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = TakeLine(text);
    if (line.empty()) continue;
    std::optional<RankedToken> token = ParseLine(line);
    if (!token) return Fail(Code::kCorrupt, "line {}: expected base64, a space and a rank", number);
    lines.push_back(std::move(*token));
  }
  std::vector<std::string> tokens(lines.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    const size_t rank = lines[i].rank;
    if (rank >= lines.size() || !tokens[rank].empty())
      return Fail(Code::kCorrupt, "rank {}: expected each of 0 to {} once", rank, lines.size() - 1);
    tokens[rank] = std::move(lines[i].bytes);
  }
  return tokens;
}

std::vector<std::string> MergesFromRanks(const std::vector<std::string>& tokens,
                                         const std::vector<std::string>& spellings) {
  SpellingTable ranks;
  ranks.Reserve(tokens.size());
  for (size_t rank = 0; rank < tokens.size(); ++rank)
    ranks.Add(tokens[rank], static_cast<int32_t>(rank));
  std::vector<std::string> merges;
  std::vector<std::pair<int32_t, int32_t>> splits;
  for (const std::string_view token : tokens) {
    if (token.size() > kLongestMergeable) continue;
    splits.clear();
    for (size_t cut = 1; cut < token.size(); ++cut) {
      const auto left = ranks.Find(token.substr(0, cut));
      if (!left) continue;
      const auto right = ranks.Find(token.substr(cut));
      if (right) splits.emplace_back(*left, *right);
    }
    std::sort(splits.begin(), splits.end());
    for (const auto& [left, right] : splits)
      merges.push_back(spellings[static_cast<size_t>(left)] + ' ' +
                       spellings[static_cast<size_t>(right)]);
  }
  return merges;
}

TokenId AddSpecial(TokenizerSpec& spec, std::string spelling) {
  spec.tokens.push_back(std::move(spelling));
  spec.types.push_back(TokenType::kControl);
  return static_cast<TokenId>(spec.tokens.size() - 1);
}

void AddLlama3Specials(TokenizerSpec& spec) {
  constexpr int kReserved = 251;
  int reserved = 0;
  const auto reserve = [&](int count) {
    for (int i = 0; i < count; ++i)
      AddSpecial(spec, fmt::format("<|reserved_special_token_{}|>", reserved++));
  };
  spec.pre = "llama-bpe";
  spec.add_bos = true;
  spec.bos = AddSpecial(spec, "<|begin_of_text|>");
  spec.eos = AddSpecial(spec, "<|end_of_text|>");
  reserve(4);
  AddSpecial(spec, "<|start_header_id|>");
  AddSpecial(spec, "<|end_header_id|>");
  reserve(1);
  spec.eot = AddSpecial(spec, "<|eot_id|>");
  reserve(kReserved - reserved);
}

void AddQwenSpecials(TokenizerSpec& spec) {
  spec.pre = "qwen2";
  spec.eos = AddSpecial(spec, "<|endoftext|>");
  spec.padding = spec.eos;
  AddSpecial(spec, "<|im_start|>");
  spec.eot = AddSpecial(spec, "<|im_end|>");
  for (int i = 0; i < 205; ++i) AddSpecial(spec, fmt::format("<|extra_{}|>", i));
}

}  // namespace

Result<TokenizerSpec> ParseTiktoken(std::string_view text) {
  TERN_ASSIGN_OR_RETURN(const std::vector<std::string> tokens, ParseRanks(text));
  if (tokens.size() != kLlama3Ranks && tokens.size() != kQwenRanks)
    return Fail(Code::kUnsupported, "found {} ranks, expected {} (Llama-3) or {} (Qwen)",
                tokens.size(), kLlama3Ranks, kQwenRanks);
  TokenizerSpec spec;
  spec.model = TokenizerModel::kByteBpe;
  for (const std::string& token : tokens) spec.tokens.push_back(ToAlphabet(token));
  spec.types.assign(tokens.size(), TokenType::kNormal);
  spec.merges = MergesFromRanks(tokens, spec.tokens);
  if (tokens.size() == kLlama3Ranks) {
    AddLlama3Specials(spec);
  } else {
    AddQwenSpecials(spec);
  }
  return spec;
}

bool LooksLikeTiktoken(std::string_view text) { return ParseLine(TakeLine(text)).has_value(); }

}  // namespace tern
