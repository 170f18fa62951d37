// Tokenizers small enough to follow by hand.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/byte_alphabet.h"
#include "tokenizer/tokenizer.h"

namespace tern::test {

inline TokenId AddToken(TokenizerSpec& spec, std::string spelling,
                        TokenType type = TokenType::kNormal) {
  spec.tokens.push_back(std::move(spelling));
  spec.types.push_back(type);
  if (spec.model == TokenizerModel::kSentencePieceBpe) spec.scores.push_back(0);
  return static_cast<TokenId>(spec.tokens.size() - 1);
}

/// Adds a merge and the token it makes.
inline TokenId AddMerge(TokenizerSpec& spec, const std::string& left, const std::string& right) {
  spec.merges.push_back(left + ' ' + right);
  return AddToken(spec, left + right);
}

/// Ids 0 to 255 are the bytes, then "he" 256, "ll" 257, "hell" 258, "hello" 259, " w" 260,
/// "or" 261, "ld" 262, "<|bos|>" 263, "<|eos|>" 264 (control), "<user>" 265 (user-defined).
inline TokenizerSpec SmallByteBpe() {
  TokenizerSpec spec;
  spec.pre = "gpt-2";
  for (int byte = 0; byte < 256; ++byte)
    AddToken(spec, ToAlphabet(std::string(1, static_cast<char>(byte))));
  AddMerge(spec, "h", "e");
  AddMerge(spec, "l", "l");
  AddMerge(spec, "he", "ll");
  AddMerge(spec, "hell", "o");
  AddMerge(spec, ToAlphabet(" "), "w");
  AddMerge(spec, "o", "r");
  AddMerge(spec, "l", "d");
  spec.bos = AddToken(spec, "<|bos|>", TokenType::kControl);
  spec.eos = AddToken(spec, "<|eos|>", TokenType::kControl);
  AddToken(spec, "<user>", TokenType::kUserDefined);
  return spec;
}

/// "<unk>" 0, "<s>" 1, "</s>" 2, bytes 3 to 258, then the pieces with falling scores from 259 on:
/// "_" "a" "b" "c" "_a" "ab" "_ab" "abc" "bc" (with U+2581 for _), "<user>" 268.
inline TokenizerSpec SmallSentencePiece() {
  TokenizerSpec spec;
  spec.model = TokenizerModel::kSentencePieceBpe;
  spec.unknown = AddToken(spec, "<unk>", TokenType::kUnknown);
  spec.bos = AddToken(spec, "<s>", TokenType::kControl);
  spec.eos = AddToken(spec, "</s>", TokenType::kControl);
  for (int byte = 0; byte < 256; ++byte)
    AddToken(spec, fmt::format("<0x{:02X}>", byte), TokenType::kByte);
  float score = 0;
  for (const char* piece : {"\u2581", "a", "b", "c", "\u2581a", "ab", "\u2581ab", "abc", "bc"}) {
    AddToken(spec, piece);
    spec.scores.back() = --score;
  }
  AddToken(spec, "<user>", TokenType::kUserDefined);
  spec.add_bos = true;
  return spec;
}

inline std::unique_ptr<Tokenizer> MakeTokenizer(TokenizerSpec spec) {
  auto tokenizer = Tokenizer::Create(std::move(spec));
  if (!tokenizer) {
    ADD_FAILURE() << tokenizer.error().message;
    return nullptr;
  }
  return std::move(*tokenizer);
}

}  // namespace tern::test
