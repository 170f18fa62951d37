#include "grammar/json_rules.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/check.h"
#include "grammar/gbnf.h"

namespace tern::grammar {
namespace {

// Bounded where a model might go on for ever: blanks, digits. Exponents stay below what a double
// holds; a \u escape is a character, so surrogates come in pairs.
constexpr std::string_view kRules = R"gbnf(
value ::= object | array | string | number | boolean | null
object ::= "{" ws (member ("," ws member)* ws)? "}"
member ::= string ":" ws value
array ::= "[" ws (value ("," ws value)* ws)? "]"
string ::= "\"" string-rest
string-rest ::= char* "\""
char ::= [^"\\\x00-\x1f] | "\\" (["\\/bfnrt] | "u" unit)
unit ::= [0-9a-cA-CefEF] hex{3} | [dD] [0-7] hex{2} | [dD] [89abAB] hex{2} "\\u" [dD] [c-fC-F] hex{2}
hex ::= [0-9a-fA-F]
number ::= integer ("." [0-9]{1,20})? ([eE] [-+]? [0-9]{1,2})?
integer ::= "-"? ("0" | [1-9] [0-9]{0,18})
boolean ::= "true" | "false"
null ::= "null"
ws ::= (" " | "\n" [ \t]{0,20})?
date ::= "\"" day "\""
day ::= [0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [1-2] [0-9] | "3" [0-1])
time ::= "\"" clock "\""
clock ::= hour ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,9})? ("Z" | [+-] hour ":" [0-5] [0-9])
hour ::= [0-1] [0-9] | "2" [0-3]
date-time ::= "\"" day "T" clock "\""
uuid ::= "\"" hex{8} "-" hex{4} "-" hex{4} "-" hex{4} "-" hex{12} "\""
)gbnf";

struct ShortEscape {
  char32_t character;
  const char* spelling;
};
constexpr ShortEscape kEscapes[] = {{U'"', "\\\""}, {U'\\', "\\\\"}, {U'\b', "\\b"}, {U'\f', "\\f"},
                                    {U'\n', "\\n"}, {U'\r', "\\r"},  {U'\t', "\\t"}};

bool Contains(const Ranges& ranges, char32_t c) {
  for (const Range range : ranges)
    if (range.low <= c && c <= range.high) return true;
  return false;
}

Ranges WithoutEscaped(const Ranges& ranges) {
  Ranges out = Complement(ranges);
  out.insert(out.end(), {{0, 0x1f}, {U'"', U'"'}, {U'\\', U'\\'}});
  return Complement(Normalized(std::move(out)));
}

ExprId AnyDigits(RuleSet& rules, size_t count) {
  return rules.Repeat(rules.Class({{U'0', U'9'}}), static_cast<uint32_t>(count),
                      static_cast<uint32_t>(count));
}

ExprId Digit(RuleSet& rules, char low, char high) {
  return rules.Class({{static_cast<char32_t>(low), static_cast<char32_t>(high)}});
}

/// Numerals of the length of low and high, between them; an absent bound is nines or zeros.
ExprId Between(RuleSet& rules, std::string_view low, std::string_view high) {
  if (low.empty()) return rules.Empty();
  const std::string_view low_rest = low.substr(1), high_rest = high.substr(1);
  if (low[0] == high[0])
    return rules.Sequence({Digit(rules, low[0], low[0]), Between(rules, low_rest, high_rest)});
  const std::string zeros(low_rest.size(), '0'), nines(low_rest.size(), '9');
  std::vector<ExprId> choices;
  char first = low[0], last = high[0];
  if (low_rest != zeros) {
    choices.push_back(
        rules.Sequence({Digit(rules, first, first), Between(rules, low_rest, nines)}));
    ++first;
  }
  if (high_rest != nines) {
    choices.push_back(rules.Sequence({Digit(rules, last, last), Between(rules, zeros, high_rest)}));
    --last;
  }
  if (first <= last)
    choices.push_back(
        rules.Sequence({Digit(rules, first, last), AnyDigits(rules, low_rest.size())}));
  return rules.Choice(std::move(choices));
}

}  // namespace

void DefineJsonRules(RuleSet& rules) {
  TERN_CHECK(ParseGbnf(kRules, rules).has_value());
  for (const char* name : {"value", "object", "array", "string-rest", "number", "integer", "ws",
                           "date", "time", "date-time", "uuid"})
    rules.Keep(rules.Named(name));
}

ExprId JsonChar(RuleSet& rules, const Ranges& ranges) {
  std::vector<ExprId> choices;
  Ranges plain = WithoutEscaped(ranges);
  if (!plain.empty()) choices.push_back(rules.Class(std::move(plain)));
  for (const ShortEscape& escape : kEscapes)
    if (Contains(ranges, escape.character)) choices.push_back(rules.Bytes(escape.spelling));
  return rules.Choice(std::move(choices));
}

ExprId Digits(RuleSet& rules, uint64_t low, uint64_t high) {
  std::vector<ExprId> choices;
  const size_t shortest = fmt::to_string(low).size(), longest = fmt::to_string(high).size();
  for (size_t length = shortest; length <= longest; ++length) {
    const std::string least = length == shortest ? fmt::to_string(low)
                              : length == 1      ? "0"
                                                 : "1" + std::string(length - 1, '0');
    const std::string most = length == longest ? fmt::to_string(high) : std::string(length, '9');
    choices.push_back(Between(rules, least, most));
  }
  return rules.Choice(std::move(choices));
}

}  // namespace tern::grammar
