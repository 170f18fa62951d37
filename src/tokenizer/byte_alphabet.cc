#include "tokenizer/byte_alphabet.h"

#include <array>

#include "tokenizer/utf8.h"

namespace tern {
namespace {

constexpr char32_t kFirstSubstitute = 0x100;

constexpr bool IsPrintable(unsigned byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<uint8_t, 256> substituted{};  // index: character - kFirstSubstitute
  unsigned substitutes = 0;

  constexpr Alphabet() {
    for (unsigned byte = 0; byte < 256; ++byte) {
      if (IsPrintable(byte)) {
        character[byte] = byte;
      } else {
        substituted[substitutes] = static_cast<uint8_t>(byte);
        character[byte] = kFirstSubstitute + substitutes++;
      }
    }
  }
};

constexpr Alphabet kAlphabet;

}  // namespace

char32_t AlphabetCharacter(uint8_t byte) { return kAlphabet.character[byte]; }

std::string ToAlphabet(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) AppendUtf8(AlphabetCharacter(static_cast<uint8_t>(c)), out);
  return out;
}

std::string FromAlphabet(std::string_view spelling) {
  std::string out;
  out.reserve(spelling.size());
  while (!spelling.empty()) {
    const Utf8Step step = NextUtf8(spelling);
    const char32_t c = step.code_point;
    if (step.kind == Utf8Kind::kCharacter && c < 256 && IsPrintable(c)) {
      out.push_back(static_cast<char>(c));
    } else if (c >= kFirstSubstitute && c < kFirstSubstitute + kAlphabet.substitutes) {
      out.push_back(static_cast<char>(kAlphabet.substituted[c - kFirstSubstitute]));
    } else {
      out.append(spelling.substr(0, step.length));
    }
    spelling.remove_prefix(step.length);
  }
  return out;
}

}  // namespace tern
