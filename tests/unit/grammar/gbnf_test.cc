#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "grammar/grammar.h"
#include "support/gbnf_oracle.h"
#include "support/grammar_vocabulary.h"

namespace tern {
namespace {

using test::GbnfOracle;
using test::GrammarVocabulary;
using ::testing::HasSubstr;

const GrammarVocabulary& Vocabulary() {
  static const GrammarVocabulary vocabulary;
  return vocabulary;
}

GrammarMatcher Start(const std::string& grammar) {
  auto made = Grammar::FromGbnf(grammar);
  EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
  return GrammarMatcher(*made, Vocabulary().trie);
}

bool Matches(const GrammarMatcher& start, std::string_view text) {
  GrammarMatcher matcher = start;
  return matcher.AcceptBytes(text) && matcher.CanEnd();
}

std::string ErrorOf(std::string_view grammar) {
  const auto made = Grammar::FromGbnf(grammar);
  return made ? "none" : made.error().message;
}

struct Case {
  const char* grammar;
  const char* letters;
  size_t longest;
};

const Case kCases[] = {
    {"root ::= \"a\" | \"ab\" | \"abc\" \"c\"*", "abc", 6},
    {"root ::= (\"a\" | \"b\"){2,4} [c]?", "abc", 6},
    {"root ::= [a-b]+ [^a]{2} .?", "abc", 6},
    {"root ::= \"(\" root \")\" | \"\"", "()", 8},
    {"root ::= \"(\" root \")\" root | \"\"", "()", 10},
    {"root ::= item (\",\" item)*\nitem ::= [a]+ | \"[\" root \"]\"", "a,[]", 6},
    {"root ::= x x x\nx ::= \"a\"* y\ny ::= \"b\"?", "ab", 8},
    {"root ::= \"a\" root \"a\" | \"b\" root \"b\" | \"\"", "ab", 9},  // ambiguous middle
    {"root ::= e\ne ::= t (\"+\" t)*\nt ::= f (\"*\" f)*\nf ::= [1-2] | \"(\" e \")\"", "1+*()", 6},
    {"root ::= s\ns ::= \"a\" s \"b\" | \"a\" s | \"\"", "ab", 9},  // exponentially many readings
    {"root ::= w*\nw ::= (\"a\"?)* \"b\"", "ab", 8},
    {"root ::= (\"a\"* \"b\"){2,} | (\"b\" \"a\"{3}){1,2}", "ab", 9},
};

TEST(Gbnf, AgreesWithABacktrackingReading) {
  for (const Case& row : kCases) {
    SCOPED_TRACE(row.grammar);
    const GbnfOracle oracle(row.grammar);
    const GrammarMatcher start = Start(row.grammar);
    const std::string letters = row.letters;
    size_t matching = 0;
    std::vector<std::string> texts = {""};
    for (size_t i = 0; i < texts.size(); ++i) {
      const std::string text = texts[i];
      const bool expected = oracle.Matches(text);
      matching += expected;
      ASSERT_EQ(Matches(start, text), expected) << '"' << text << '"';
      if (expected) {
        for (size_t n = 0; n < text.size(); ++n) {
          GrammarMatcher prefix = start;
          ASSERT_TRUE(prefix.AcceptBytes(text.substr(0, n))) << text << " up to " << n;
        }
      }
      if (text.size() == row.longest || texts.size() > 20000) continue;
      for (const char letter : letters) texts.push_back(text + letter);
    }
    EXPECT_GT(matching, 2u);
  }
}

// Every prefix that is accepted can be completed: nothing is a dead end.
TEST(Gbnf, AcceptedPrefixesHaveAnEnd) {
  const GbnfOracle oracle("root ::= \"(\" root \")\" root | \"\"");
  const GrammarMatcher start = Start("root ::= \"(\" root \")\" root | \"\"");
  for (int bits = 0; bits < 64; ++bits) {
    std::string text;
    int open = 0, least = 0;
    for (int i = 0; i < 6; ++i) {
      text += (bits >> i & 1) != 0 ? '(' : ')';
      open += text.back() == '(' ? 1 : -1;
      least = std::min(least, open);
    }
    GrammarMatcher prefix = start;
    EXPECT_EQ(prefix.AcceptBytes(text), least >= 0) << text;
    if (least < 0) continue;
    EXPECT_TRUE(oracle.Matches(text + std::string(static_cast<size_t>(open), ')')));
  }
}

TEST(Gbnf, Syntax) {
  const GrammarMatcher m = Start(
      "# a comment\n"
      "root ::= # here too\n"
      "  first-rule ( \"x\" # and here\n"
      "  | \"y\" )\n"
      "  | \"\\x41\\u00e9\\n\\t\\\\\\\"\"\n"
      "  |\n  [\\x30-\\x39\\]\\-] \"z\"\n\n"
      "first-rule ::= \"f\"\n");
  EXPECT_TRUE(Matches(m, "fx"));
  EXPECT_TRUE(Matches(m, "fy"));
  EXPECT_TRUE(Matches(m, "A\xc3\xa9\n\t\\\""));
  EXPECT_TRUE(Matches(m, "5z"));
  EXPECT_TRUE(Matches(m, "]z"));
  EXPECT_TRUE(Matches(m, "-z"));
  EXPECT_FALSE(Matches(m, "fz"));
  EXPECT_FALSE(Matches(m, "fxfx"));
}

TEST(Gbnf, CharactersAreWholeUtf8) {
  const GrammarMatcher any = Start("root ::= .");
  const GrammarMatcher range = Start("root ::= [\\u00e0-\\u3042\\U00010348]");
  const GrammarMatcher negated = Start("root ::= [^a\\u00e9]");
  for (char32_t c = 0; c < 0x11000; ++c) {
    std::string text;
    if (c >= 0xd800 && c <= 0xdfff) {
      text = {static_cast<char>(0xed), static_cast<char>(0x80 | ((c >> 6) & 0x3f)),
              static_cast<char>(0x80 | (c & 0x3f))};
    } else if (c < 0x80) {
      text = {static_cast<char>(c)};
    } else if (c < 0x800) {
      text = {static_cast<char>(0xc0 | (c >> 6)), static_cast<char>(0x80 | (c & 0x3f))};
    } else if (c < 0x10000) {
      text = {static_cast<char>(0xe0 | (c >> 12)), static_cast<char>(0x80 | ((c >> 6) & 0x3f)),
              static_cast<char>(0x80 | (c & 0x3f))};
    } else {
      text = {static_cast<char>(0xf0), static_cast<char>(0x80 | ((c >> 12) & 0x3f)),
              static_cast<char>(0x80 | ((c >> 6) & 0x3f)), static_cast<char>(0x80 | (c & 0x3f))};
    }
    const bool character = c < 0xd800 || c > 0xdfff;
    ASSERT_EQ(Matches(any, text), character) << static_cast<uint32_t>(c);
    ASSERT_EQ(Matches(range, text), character && ((c >= 0xe0 && c <= 0x3042) || c == 0x10348))
        << static_cast<uint32_t>(c);
    ASSERT_EQ(Matches(negated, text), character && c != 'a' && c != 0xe9)
        << static_cast<uint32_t>(c);
  }
  EXPECT_FALSE(Matches(any, "\xc0\x80"));          // overlong
  EXPECT_FALSE(Matches(any, "\xf4\x90\x80\x80"));  // above U+10FFFF
  EXPECT_FALSE(Matches(any, "\x80"));
}

TEST(Gbnf, ErrorsSayWhere) {
  EXPECT_THAT(ErrorOf("root ::= \"a"),
              HasSubstr("line 1, column 12: found the end, expected '\"'"));
  EXPECT_THAT(ErrorOf("root ::= \"a\"\nb = \"c\""), HasSubstr("line 2, column 3: found '='"));
  EXPECT_THAT(ErrorOf("root ::= (\"a\""), HasSubstr("expected ')'"));
  EXPECT_THAT(ErrorOf("root ::= missing"), HasSubstr("'missing' is used but not defined"));
  EXPECT_THAT(ErrorOf("start ::= \"a\""), HasSubstr("no rule 'root'"));
  EXPECT_THAT(ErrorOf("root ::= \"a\"\nroot ::= \"b\""), HasSubstr("defined twice"));
  EXPECT_THAT(ErrorOf("root ::= \"a\"{3,2}"), HasSubstr("m <= n"));
  EXPECT_THAT(ErrorOf("root ::= [b-a]"), HasSubstr("end is not before"));
  EXPECT_THAT(ErrorOf("root ::= []"), HasSubstr("a class that some character is in"));
  EXPECT_THAT(ErrorOf("root ::= \"\\q\""), HasSubstr("expected an escape"));
  EXPECT_THAT(ErrorOf("root ::= \"\\ud800\""), HasSubstr("U+D800"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("no rule 'root'"));
}

TEST(Gbnf, LeftRecursionIsRefused) {
  EXPECT_THAT(ErrorOf("root ::= root \"a\" | \"b\""), HasSubstr("left recursion: root -> root"));
  EXPECT_THAT(ErrorOf("root ::= a\na ::= b \"x\"\nb ::= a \"y\" | \"z\""),
              HasSubstr("left recursion: a -> b -> a"));
  EXPECT_THAT(ErrorOf("root ::= e* root \"a\" | \"b\"\ne ::= \"\""), HasSubstr("left recursion"));
  EXPECT_THAT(ErrorOf("root ::= \"a\" root"), HasSubstr("'root' can never end"));
}

TEST(Gbnf, SizeIsBounded) {
  EXPECT_THAT(ErrorOf("root ::= \"a\"{1,99999}"), HasSubstr("repetition count above"));
  EXPECT_THAT(ErrorOf("root ::= ((((\"a\"{999}){999}){999}){999})"), HasSubstr("states"));
  // The subset construction would take 2^n states.
  EXPECT_THAT(ErrorOf("root ::= [ab]* \"a\" [ab]{40}"), HasSubstr("to compile"));
  EXPECT_THAT(ErrorOf("root ::= " + std::string(200, '(') + "\"a\"" + std::string(200, ')')),
              HasSubstr("nest deeper"));
  EXPECT_THAT(ErrorOf(std::string(1 << 20, ' ')), HasSubstr("at most"));
}

}  // namespace
}  // namespace tern
