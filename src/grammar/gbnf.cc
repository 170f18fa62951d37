#include "grammar/gbnf.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "grammar/limits.h"
#include "tokenizer/utf8.h"

namespace tern::grammar {
namespace {

bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Parser {
 public:
  Parser(std::string_view text, RuleSet& rules) : text_(text), rules_(rules) {}

  Status Run() {
    SkipSpace(true);
    while (!AtEnd()) {
      TERN_TRY(ParseRule());
      SkipSpace(true);
    }
    return {};
  }

 private:
  bool AtEnd() const { return at_ == text_.size(); }
  char Peek() const { return AtEnd() ? '\0' : text_[at_]; }
  bool Take(char c) {
    if (AtEnd() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  tl::unexpected<Error> Wrong(std::string_view expected) const {
    const std::string_view before = text_.substr(0, at_);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const size_t start = before.rfind('\n');
    const size_t column = start == std::string_view::npos ? at_ + 1 : at_ - start;
    std::string found = "the end";
    if (!AtEnd()) {
      const Utf8Step step = NextUtf8(text_.substr(at_));
      found = static_cast<unsigned char>(Peek()) < 0x20 || step.kind != Utf8Kind::kCharacter
                  ? fmt::format("byte 0x{:02x}", static_cast<unsigned char>(Peek()))
                  : fmt::format("'{}'", text_.substr(at_, step.length));
    }
    return Fail(Code::kInvalidArgument, "grammar: line {}, column {}: found {}, expected {}", line,
                column, found, expected);
  }

  /// Blanks and comments; line breaks too where the expression goes on behind them.
  void SkipSpace(bool lines) {
    while (!AtEnd()) {
      const char c = Peek();
      if (c == '#') {
        while (!AtEnd() && Peek() != '\n' && Peek() != '\r') ++at_;
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string_view TakeName() {
    const size_t begin = at_;
    while (!AtEnd() && IsNameChar(Peek())) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  Status ParseRule() {
    const std::string_view name = TakeName();
    if (name.empty()) return Wrong("the name of a rule");
    SkipSpace(false);
    if (text_.substr(at_, 3) != "::=") return Wrong("'::='");
    const RuleId rule = rules_.Named(name);
    if (rules_.rules()[rule].body != kNone) {
      return Fail(Code::kInvalidArgument, "grammar: the rule '{}' is defined twice", name);
    }
    at_ += 3;
    SkipSpace(true);
    TERN_ASSIGN_OR_RETURN(const ExprId body, ParseChoice(0));
    if (!AtEnd() && Peek() != '\n' && Peek() != '\r')
      return Wrong("an element of the rule or a line break");
    rules_.Define(rule, body);
    if (name == "root") rules_.SetRoot(rule);
    if (rules_.Full())
      return Fail(Code::kResourceExhausted, "grammar: more than {} rules or {} elements", kMaxRules,
                  kMaxExprs);
    return {};
  }

  Result<ExprId> ParseChoice(int depth) {
    std::vector<ExprId> items;
    do {
      SkipSpace(true);
      TERN_ASSIGN_OR_RETURN(const ExprId item, ParseSequence(depth));
      items.push_back(item);
      // A line that begins with '|' goes on with the rule before it.
      const size_t here = at_;
      SkipSpace(true);
      if (Peek() != '|' && depth == 0) at_ = here;
    } while (Take('|'));
    return rules_.Choice(std::move(items));
  }

  Result<ExprId> ParseSequence(int depth) {
    std::vector<ExprId> items;
    while (true) {
      TERN_ASSIGN_OR_RETURN(const std::optional<ExprId> atom, ParseAtom(depth));
      if (!atom) break;
      TERN_ASSIGN_OR_RETURN(const ExprId item, ParseRepeats(*atom));
      items.push_back(item);
      SkipSpace(depth > 0);
      if (rules_.Full()) break;  // ParseRule says so
    }
    return rules_.Sequence(std::move(items));
  }

  /// Nothing: here is no element, the sequence ends.
  Result<std::optional<ExprId>> ParseAtom(int depth) {
    if (Take('"')) return ParseLiteral();
    if (Take('[')) return ParseClass();
    if (Take('.')) return rules_.Class(Complement({}));
    if (Peek() == '(') {
      if (depth >= kMaxNesting)
        return Fail(Code::kResourceExhausted, "grammar: groups nest deeper than {}", kMaxNesting);
      ++at_;
      TERN_ASSIGN_OR_RETURN(const ExprId group, ParseChoice(depth + 1));
      if (!Take(')')) return Wrong("')'");
      return group;
    }
    if (!AtEnd() && IsNameChar(Peek())) return rules_.Call(TakeName());
    return std::nullopt;
  }

  /// One character of a literal or class, escapes resolved.
  Result<char32_t> ParseChar() {
    if (!Take('\\')) {
      const Utf8Step step = AtEnd() ? Utf8Step{} : NextUtf8(text_.substr(at_));
      if (step.kind != Utf8Kind::kCharacter) return Wrong("a character");
      at_ += step.length;
      return step.code_point;
    }
    const char c = Peek();
    if (AtEnd()) return Wrong("an escape");
    ++at_;
    if (c == 'n') return U'\n';
    if (c == 't') return U'\t';
    if (c == 'r') return U'\r';
    if (c == 'x') return ParseHex(2);
    if (c == 'u') return ParseHex(4);
    if (c == 'U') return ParseHex(8);
    if (c > ' ' && c < 0x7f && !IsNameChar(c)) return static_cast<char32_t>(c);
    if (c == '-' || c == '_') return static_cast<char32_t>(c);
    --at_;
    return Wrong("an escape: n, t, r, x, u, U or a punctuation mark");
  }

  Result<char32_t> ParseHex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = HexValue(Peek());
      if (digit < 0) return Wrong(fmt::format("{} hexadecimal digits", digits));
      value = value * 16 + static_cast<char32_t>(digit);
      ++at_;
    }
    if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
      return Fail(Code::kInvalidArgument, "grammar: found the escape U+{:X}, expected a character",
                  static_cast<uint32_t>(value));
    return value;
  }

  Result<std::optional<ExprId>> ParseLiteral() {
    std::string bytes;
    while (!Take('"')) {
      if (AtEnd()) return Wrong("'\"'");
      TERN_ASSIGN_OR_RETURN(const char32_t c, ParseChar());
      AppendUtf8(c, bytes);
    }
    return rules_.Bytes(bytes);
  }

  Result<std::optional<ExprId>> ParseClass() {
    const bool negated = Take('^');
    Ranges ranges;
    while (!Take(']')) {
      if (AtEnd()) return Wrong("']'");
      Range range;
      TERN_ASSIGN_OR_RETURN(range.low, ParseChar());
      range.high = range.low;
      if (Peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        TERN_ASSIGN_OR_RETURN(range.high, ParseChar());
        if (range.high < range.low) return Wrong("a range whose end is not before its beginning");
      }
      ranges.push_back(range);
    }
    ranges = Normalized(std::move(ranges));
    if (negated) ranges = Complement(ranges);
    if (ranges.empty()) return Wrong("a class that some character is in");
    return rules_.Class(std::move(ranges));
  }

  Result<ExprId> ParseRepeats(ExprId item) {
    for (int count = 0;; ++count) {
      SkipSpace(false);
      if (count > kMaxRepeatsOfOne)
        return Fail(Code::kResourceExhausted, "grammar: more than {} repetitions of one element",
                    kMaxRepeatsOfOne);
      if (Take('*')) {
        item = rules_.Repeat(item, 0);
      } else if (Take('+')) {
        item = rules_.Repeat(item, 1);
      } else if (Take('?')) {
        item = rules_.Repeat(item, 0, 1);
      } else if (Take('{')) {
        SkipSpace(false);
        uint32_t min = 0;
        if (Peek() != ',') {
          TERN_ASSIGN_OR_RETURN(min, ParseCount());
        }
        uint32_t max = min;
        if (Take(',')) {
          SkipSpace(false);
          max = kNone;
          if (Peek() != '}') {
            TERN_ASSIGN_OR_RETURN(max, ParseCount());
          }
        }
        if (!Take('}')) return Wrong("'}'");
        if (max < min) return Wrong("a repetition {m,n} with m <= n");
        item = rules_.Repeat(item, min, max);
      } else {
        return item;
      }
    }
  }

  Result<uint32_t> ParseCount() {
    if (Peek() < '0' || Peek() > '9') return Wrong("a number");
    uint32_t value = 0;
    while (Peek() >= '0' && Peek() <= '9') {
      value = value * 10 + static_cast<uint32_t>(Peek() - '0');
      if (value > kMaxRepeat)
        return Fail(Code::kResourceExhausted, "grammar: a repetition count above {}", kMaxRepeat);
      ++at_;
    }
    SkipSpace(false);
    return value;
  }

  std::string_view text_;
  RuleSet& rules_;
  size_t at_ = 0;
};

}  // namespace

Status ParseGbnf(std::string_view text, RuleSet& rules) {
  if (text.size() > kMaxSourceBytes)
    return Fail(Code::kResourceExhausted, "grammar: {} bytes, at most {} are read", text.size(),
                kMaxSourceBytes);
  return Parser(text, rules).Run();
}

}  // namespace tern::grammar
