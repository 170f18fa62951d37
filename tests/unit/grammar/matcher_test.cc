#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "grammar/grammar.h"
#include "support/grammar_vocabulary.h"

namespace tern {
namespace {

using test::GrammarVocabulary;

const GrammarVocabulary& Vocabulary() {
  static const GrammarVocabulary vocabulary;
  return vocabulary;
}

GrammarMatcher Start(std::string_view grammar) {
  return GrammarMatcher(Grammar::FromGbnf(grammar).value(), Vocabulary().trie);
}

/// Against the definition: a token is allowed when its bytes can be accepted.
void ExpectMaskIsExact(const GrammarMatcher& matcher, bool by_byte = true) {
  const size_t vocab = Vocabulary().pieces.size();
  std::vector<float> logits(vocab + 5, 1.0f);
  const size_t left = matcher.Mask(logits);
  size_t allowed = 0;
  for (size_t id = 0; id < vocab; ++id) {
    GrammarMatcher copy = matcher;
    const std::string& piece = Vocabulary().pieces[id];
    bool expected = !piece.empty();
    if (by_byte) {
      for (const char byte : piece) expected = expected && copy.AcceptBytes(std::string(1, byte));
    } else {
      expected = expected && copy.AcceptBytes(piece);
    }
    if (static_cast<TokenId>(id) == Vocabulary().end) expected = matcher.CanEnd();
    allowed += expected;
    ASSERT_EQ(logits[id], expected ? 1.0f : -std::numeric_limits<float>::infinity())
        << id << " '" << piece << "'";
    ASSERT_EQ(matcher.Allows(static_cast<TokenId>(id)), expected) << id;
  }
  EXPECT_EQ(left, allowed);
  for (size_t id = vocab; id < logits.size(); ++id) EXPECT_TRUE(std::isinf(logits[id]));
}

TEST(Matcher, MasksAreExactAlongATextOfNestedRules) {
  GrammarMatcher matcher = Start(
      "root ::= v\nv ::= s | \"[\" (v (\",\" v)*)? \"]\" | \"{\" s \":\" v \"}\"\n"
      "s ::= \"\\\"\" ([^\"\\\\] | \"\\\\\" .)* \"\\\"\"");
  ExpectMaskIsExact(matcher);
  for (const char byte : std::string("[\"ab\",{\"\\\"\xc3\xa9\":[[],\"n1\"]},\"a\"]")) {
    ASSERT_TRUE(matcher.AcceptBytes(std::string(1, byte)));
    ExpectMaskIsExact(matcher);
  }
  EXPECT_TRUE(matcher.Finished());
}

TEST(Matcher, MasksAreExactWhereReadingsMultiply) {
  for (const char* grammar : {"root ::= s\ns ::= \"a\" s \"b\" | \"a\" s | \"\"",
                              "root ::= (w \" \"?)+\nw ::= [ab]+ | [a]+ \"1\"",
                              "root ::= \"a\" root \"a\" | \"b\" root \"b\" | \"\""}) {
    SCOPED_TRACE(grammar);
    GrammarMatcher matcher = Start(grammar);
    for (const char byte : std::string("aaabaa")) {
      ExpectMaskIsExact(matcher);
      if (!matcher.AcceptBytes(std::string(1, byte))) break;
    }
  }
}

TEST(Matcher, EndTokensNeedACompleteText) {
  GrammarMatcher matcher = Start("root ::= \"ab\" \"c\"?");
  const TokenId end = Vocabulary().end;
  EXPECT_FALSE(matcher.CanEnd());
  EXPECT_FALSE(matcher.Accept(end));
  EXPECT_TRUE(matcher.AcceptBytes("ab"));
  EXPECT_TRUE(matcher.CanEnd());
  EXPECT_FALSE(matcher.Finished());
  GrammarMatcher other = matcher;
  EXPECT_TRUE(other.Accept('c'));
  EXPECT_TRUE(other.Finished());
  EXPECT_TRUE(matcher.Accept(end));
  EXPECT_TRUE(matcher.Finished());
  EXPECT_FALSE(matcher.Accept('c'));
  std::vector<float> logits(Vocabulary().pieces.size(), 0.0f);
  EXPECT_EQ(matcher.Mask(logits), 0u);
}

TEST(Matcher, ARefusedTokenChangesNothing) {
  GrammarMatcher matcher = Start("root ::= \"ab\"");
  EXPECT_FALSE(matcher.Accept('b'));
  EXPECT_FALSE(matcher.AcceptBytes("ax"));
  EXPECT_FALSE(matcher.Accept(-1));
  EXPECT_FALSE(matcher.Accept(1 << 30));
  EXPECT_FALSE(matcher.Accept(Vocabulary().end - 1));  // empty piece
  EXPECT_TRUE(matcher.Accept('a'));
  EXPECT_TRUE(matcher.Accept('b'));
}

TEST(Matcher, CopiesGoTheirOwnWay) {
  GrammarMatcher matcher = Start("root ::= \"a\" (\"b\" | \"c\") \"d\"");
  ASSERT_TRUE(matcher.Accept('a'));
  GrammarMatcher b = matcher, c = matcher;
  EXPECT_TRUE(b.Accept('b'));
  EXPECT_TRUE(c.Accept('c'));
  EXPECT_TRUE(b.Accept('d'));
  EXPECT_FALSE(matcher.Accept('d'));
}

TEST(Matcher, TokensMayHoldPartsOfCharacters) {
  GrammarMatcher matcher = Start("root ::= [\\u00e9\\u3042]{2}");
  for (const unsigned char byte : std::string("\xe3\x81\x82\xc3\xa9")) {
    ExpectMaskIsExact(matcher);
    ASSERT_TRUE(matcher.Accept(byte));
  }
  EXPECT_TRUE(matcher.Finished());
}

TEST(Matcher, DepthIsBoundedAndMasksKnowIt) {
  GrammarMatcher matcher = Start("root ::= \"[\" root \"]\" | \"1\"");
  size_t depth = 0;
  while (matcher.Accept('[')) ASSERT_LT(++depth, 5000u);
  EXPECT_GT(depth, 500u);
  ExpectMaskIsExact(matcher, false);  // the depth counts at the end of a token
  ASSERT_TRUE(matcher.Accept('1'));
  for (; depth > 0; --depth) ASSERT_TRUE(matcher.Accept(']')) << depth;
  EXPECT_TRUE(matcher.Finished());
}

// The readings double with each byte; what is followed of them stays valid and can be completed.
TEST(Matcher, ReadingsAreBoundedAndTheTextStaysValid) {
  GrammarMatcher matcher = Start("root ::= s\ns ::= \"a\" (s \"b\" | s \"1\" | s \"b1\")? ");
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(matcher.Accept('a')) << i;
  Rng rng(3);
  int steps = 0;
  for (; !matcher.CanEnd(); ++steps) {
    ASSERT_LT(steps, 1000);
    std::vector<uint64_t> bits;
    matcher.Allowed(bits);
    std::vector<TokenId> ids;
    for (const TokenId id : {'b', '1'})
      if ((bits[0] >> id % 64 & 1) != 0 || (bits[1] >> (id % 64) & 1) != 0) ids.push_back(id);
    ASSERT_FALSE(ids.empty());
    ASSERT_TRUE(matcher.Accept(ids[rng.Next() % ids.size()]) || matcher.Accept(ids[0]) ||
                matcher.Accept(ids.back()));
  }
  EXPECT_GE(steps, 39);
}

TEST(Matcher, ManyTriesAndGrammarsGoTogether) {
  const GrammarVocabulary other({"true", "false"});
  const auto grammar = Grammar::FromGbnf("root ::= \"true\" | \"false\"").value();
  GrammarMatcher first(grammar, Vocabulary().trie), second(grammar, other.trie);
  EXPECT_TRUE(second.Allows(256));
  EXPECT_TRUE(second.Accept(256));
  EXPECT_TRUE(first.Accept('f'));
  ExpectMaskIsExact(first);
  EXPECT_TRUE(second.Finished());
}

}  // namespace
}  // namespace tern
