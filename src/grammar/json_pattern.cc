// The `pattern` of a JSON schema: the part of ECMA-262's regular expressions that is regular.
#include <optional>
#include <string>
#include <vector>

#include "grammar/json_rules.h"
#include "grammar/limits.h"
#include "tokenizer/utf8.h"

namespace tern::grammar {
namespace {

const Ranges kDigit = {{U'0', U'9'}};
const Ranges kWord = {{U'0', U'9'}, {U'A', U'Z'}, {U'_', U'_'}, {U'a', U'z'}};
const Ranges kSpace = {{U'\t', U'\r'},   {U' ', U' '},     {0xa0, 0xa0},     {0x1680, 0x1680},
                       {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f},
                       {0x3000, 0x3000}, {0xfeff, 0xfeff}};
const Ranges kLineEnds = {{U'\n', U'\n'}, {U'\r', U'\r'}, {0x2028, 0x2029}};

class PatternParser {
 public:
  PatternParser(std::string_view text, RuleSet& rules) : text_(text), rules_(rules) {}

  Result<ExprId> Run() {
    const ExprId quote = rules_.Bytes("\"");
    std::vector<ExprId> choices;
    // ^ and $ bind tighter than |: each alternative of the whole has its own.
    do {
      const ExprId anything = rules_.Repeat(rules_.Call("char"), 0);
      std::vector<ExprId> parts;
      if (!Take('^')) parts.push_back(anything);
      TERN_ASSIGN_OR_RETURN(const ExprId body, ParseSequence(0));
      parts.push_back(body);
      if (!Take('$')) parts.push_back(anything);
      choices.push_back(rules_.Sequence(std::move(parts)));
    } while (Take('|'));
    if (!AtEnd()) return Unsupported();
    return rules_.Sequence({quote, rules_.Choice(std::move(choices)), quote});
  }

 private:
  bool AtEnd() const { return at_ == text_.size(); }
  char Peek() const { return AtEnd() ? '\0' : text_[at_]; }
  bool Take(char c) {
    if (AtEnd() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  tl::unexpected<Error> Unsupported() const {
    return Fail(
        Code::kUnsupported,
        "found '{}' at byte {} of the pattern, supported are ^ and $ at its ends, characters, "
        ". [] () | * + ? {{m,n}} and \\d \\w \\s",
        AtEnd() ? std::string_view("the end") : text_.substr(at_, 1), at_);
  }

  Result<ExprId> ParseChoice(int depth) {
    if (depth > kMaxNesting)
      return Fail(Code::kResourceExhausted, "the pattern's groups nest deeper than {}",
                  kMaxNesting);
    std::vector<ExprId> items;
    do {
      TERN_ASSIGN_OR_RETURN(const ExprId item, ParseSequence(depth));
      items.push_back(item);
    } while (Take('|'));
    return rules_.Choice(std::move(items));
  }

  Result<ExprId> ParseSequence(int depth) {
    std::vector<ExprId> items;
    while (!AtEnd() && Peek() != '|' && Peek() != ')' && Peek() != '$') {
      TERN_ASSIGN_OR_RETURN(const ExprId atom, ParseAtom(depth));
      TERN_ASSIGN_OR_RETURN(const ExprId item, ParseRepeat(atom));
      items.push_back(item);
    }
    return rules_.Sequence(std::move(items));
  }

  Result<ExprId> ParseAtom(int depth) {
    if (Take('(')) {
      if (Peek() == '?') {
        ++at_;
        if (!Take(':')) return Unsupported();
      }
      TERN_ASSIGN_OR_RETURN(const ExprId group, ParseChoice(depth + 1));
      if (!Take(')')) return Unsupported();
      return group;
    }
    if (Take('.')) return JsonChar(rules_, Complement(kLineEnds));
    if (Take('[')) return ParseClass();
    if (std::string_view("^*+?{}])").find(Peek()) != std::string_view::npos) return Unsupported();
    TERN_ASSIGN_OR_RETURN(const Ranges ranges, ParseCharacter(false));
    return JsonChar(rules_, ranges);
  }

  /// One character, or a class that an escape names.
  Result<Ranges> ParseCharacter(bool in_class) {
    if (!Take('\\')) {
      const Utf8Step step = AtEnd() ? Utf8Step{} : NextUtf8(text_.substr(at_));
      if (step.kind != Utf8Kind::kCharacter) return Unsupported();
      at_ += step.length;
      return Ranges{{step.code_point, step.code_point}};
    }
    const auto one = [](char32_t c) { return Ranges{{c, c}}; };
    if (AtEnd()) return Unsupported();
    const char c = Peek();
    ++at_;
    switch (c) {
      case 'd':
        return kDigit;
      case 'D':
        return Complement(kDigit);
      case 'w':
        return kWord;
      case 'W':
        return Complement(kWord);
      case 's':
        return kSpace;
      case 'S':
        return Complement(kSpace);
      case 'n':
        return one(U'\n');
      case 't':
        return one(U'\t');
      case 'r':
        return one(U'\r');
      case 'f':
        return one(U'\f');
      case 'v':
        return one(U'\v');
      case 'x':
        return ParseHex(2);
      case 'u':
        return ParseHex(4);
      case 'b':
        if (in_class) return one(U'\b');
        break;
      default:
        if (c > ' ' && c < 0x7f && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
            !(c >= 'A' && c <= 'Z'))
          return one(static_cast<char32_t>(c));
    }
    --at_;
    return Unsupported();
  }

  Result<Ranges> ParseHex(size_t digits) {
    char32_t value = 0;
    for (size_t i = 0; i < digits; ++i) {
      const char c = Peek();
      const bool decimal = c >= '0' && c <= '9';
      const char lower = static_cast<char>(c | 0x20);
      if (!decimal && (lower < 'a' || lower > 'f')) return Unsupported();
      value = value * 16 + static_cast<char32_t>(decimal ? c - '0' : lower - 'a' + 10);
      ++at_;
    }
    return Normalized({{value, value}});
  }

  Result<ExprId> ParseClass() {
    const bool negated = Take('^');
    Ranges ranges;
    while (!Take(']')) {
      if (AtEnd()) return Unsupported();
      TERN_ASSIGN_OR_RETURN(Ranges low, ParseCharacter(true));
      const bool single = low.size() == 1 && low[0].low == low[0].high;
      if (single && Peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        TERN_ASSIGN_OR_RETURN(const Ranges high, ParseCharacter(true));
        if (high.size() != 1 || high[0].low != high[0].high || high[0].low < low[0].low)
          return Unsupported();
        low[0].high = high[0].low;
      }
      ranges.insert(ranges.end(), low.begin(), low.end());
    }
    ranges = Normalized(std::move(ranges));
    return JsonChar(rules_, negated ? Complement(ranges) : ranges);
  }

  Result<ExprId> ParseRepeat(ExprId atom) {
    uint32_t min = 0, max = kNone;
    if (Take('*')) {
    } else if (Take('+')) {
      min = 1;
    } else if (Take('?')) {
      max = 1;
    } else if (Take('{')) {
      TERN_ASSIGN_OR_RETURN(min, ParseCount());
      max = min;
      if (Take(',')) {
        max = kNone;
        if (Peek() != '}') {
          TERN_ASSIGN_OR_RETURN(max, ParseCount());
        }
      }
      if (!Take('}') || max < min) return Unsupported();
    } else {
      return atom;
    }
    Take('?');  // lazy: the same strings match
    return rules_.Repeat(atom, min, max);
  }

  Result<uint32_t> ParseCount() {
    if (Peek() < '0' || Peek() > '9') return Unsupported();
    uint32_t value = 0;
    for (; Peek() >= '0' && Peek() <= '9'; ++at_) {
      value = value * 10 + static_cast<uint32_t>(Peek() - '0');
      if (value > kMaxRepeat)
        return Fail(Code::kResourceExhausted, "a repetition count of the pattern is above {}",
                    kMaxRepeat);
    }
    return value;
  }

  std::string_view text_;
  RuleSet& rules_;
  size_t at_ = 0;
};

}  // namespace

Result<ExprId> ParsePattern(std::string_view pattern, RuleSet& rules) {
  return PatternParser(pattern, rules).Run();
}

}  // namespace tern::grammar
