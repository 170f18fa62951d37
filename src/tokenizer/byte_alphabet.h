// The 256 printable characters in which byte-level BPE vocabularies spell bytes: 33..126, 161..172
// and 174..255 stand for themselves, the other bytes in increasing order are U+0100, U+0101, ...
// (the GPT-2 alphabet).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tern {

/// The character of one byte.
char32_t AlphabetCharacter(uint8_t byte);

/// Bytes to their spelling.
std::string ToAlphabet(std::string_view bytes);

/// A spelling to its bytes. Characters outside the alphabet, and bytes that are not UTF-8, are
/// copied as they are.
std::string FromAlphabet(std::string_view spelling);

}  // namespace tern
