#include "tokenizer/byte_alphabet.h"

#include <gtest/gtest.h>

#include <set>

namespace tern {
namespace {

TEST(ByteAlphabet, TheFirstSubstitutesAreThoseOfGpt2) {
  EXPECT_EQ(ToAlphabet(std::string("\0\x01", 2)), "\u0100\u0101");
  EXPECT_EQ(ToAlphabet(" \n\t"), "\u0120\u010a\u0109");
  EXPECT_EQ(ToAlphabet("\x7f\xa0\xad"), "\u0121\u0142\u0143");
  EXPECT_EQ(ToAlphabet("!~\xa1\xac\xae\xff"), "!~\u00a1\u00ac\u00ae\u00ff");
}

TEST(ByteAlphabet, AllBytesHaveDifferentCharactersAndComeBack) {
  std::set<char32_t> characters;
  for (int byte = 0; byte < 256; ++byte) {
    characters.insert(AlphabetCharacter(static_cast<uint8_t>(byte)));
    const std::string text(1, static_cast<char>(byte));
    EXPECT_EQ(FromAlphabet(ToAlphabet(text)), text);
  }
  EXPECT_EQ(characters.size(), 256U);
}

TEST(ByteAlphabet, WhatIsNotInTheAlphabetIsCopied) {
  EXPECT_EQ(FromAlphabet("a b"), "a b");
  EXPECT_EQ(FromAlphabet("\u2581\u0144"), "\u2581\u0144");
  EXPECT_EQ(FromAlphabet("\xff\xe2\x82"), "\xff\xe2\x82");
}

}  // namespace
}  // namespace tern
