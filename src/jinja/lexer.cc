#include "jinja/lexer.h"

#include <algorithm>
#include <optional>

#include "jinja/string_literal.h"
#include "jinja/text.h"

namespace tern::jinja {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameBegin(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool IsNamePart(char c) { return IsNameBegin(c) || IsDigit(c); }

constexpr std::string_view kLongOperators[] = {"//", "**", "==", "!=", ">=", "<="};
constexpr std::string_view kOperators = "+-/*%~[](){}<>=.:|,;";

/// Line breaks become "\n", the last one goes.
std::string Normalized(std::string_view source) {
  std::string out;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)), rest_(source_) {}

  Result<std::vector<Token>> Run() {
    while (!rest_.empty()) {
      const size_t tag = NextTag();
      const std::string_view data = rest_.substr(0, tag);
      if (tag == std::string_view::npos) {
        Push(TokenKind::kData, std::string(data));
        Skip(rest_.size());
        break;
      }
      TERN_TRY(Tag(data));
    }
    Push(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  size_t NextTag() const {
    for (size_t at = rest_.find('{'); at != std::string_view::npos; at = rest_.find('{', at + 1))
      if (at + 1 < rest_.size() && std::string_view("{%#").find(rest_[at + 1]) < 3) return at;
    return std::string_view::npos;
  }

  void Push(TokenKind kind, std::string text) {
    if (kind == TokenKind::kData && text.empty()) return;
    tokens_.push_back({kind, std::move(text), line_});
  }

  void Skip(size_t bytes) {
    if (bytes == 0) return;
    line_ +=
        static_cast<int>(std::count(rest_.begin(), rest_.begin() + std::ptrdiff_t(bytes), '\n'));
    line_begins_ = rest_[bytes - 1] == '\n';
    rest_.remove_prefix(bytes);
  }

  tl::unexpected<Error> Wrong(int line, std::string_view what) const {
    return Fail(Code::kCorrupt, "line {}: {}", line, what);
  }

  /// `data` before a tag with this sign behind its opening mark.
  std::string Trimmed(std::string_view data, char sign, bool variable) const {
    if (sign == '-') return Strip({data, Origin::kTemplate}, false, true).bytes();
    if (sign == '+' || variable) return std::string(data);
    const size_t line = data.rfind('\n') + 1;  // 0 without one
    const bool blank = data.find_first_not_of(" \t\v\f\r\n", line) == std::string_view::npos;
    return std::string(blank && (line > 0 || line_begins_) ? data.substr(0, line) : data);
  }

  /// What follows the closing mark of a tag and goes with it.
  void SkipAfterTag(char sign, bool trims) {
    if (sign == '-') {
      while (const size_t blank = BlankAtBegin(rest_)) Skip(blank);
    } else if (sign != '+' && trims && rest_.starts_with('\n')) {
      Skip(1);
    }
  }

  char SignAt(size_t at) const {
    return at < rest_.size() && (rest_[at] == '-' || rest_[at] == '+') ? rest_[at] : '\0';
  }

  Status Tag(std::string_view data) {
    const char mark = rest_[data.size() + 1];
    const char sign = SignAt(data.size() + 2);
    // "{{+" is the operator, not a sign.
    const bool has_sign = sign == '-' || (sign == '+' && mark != '{');
    Push(TokenKind::kData, Trimmed(data, has_sign ? sign : '\0', mark == '{'));
    Skip(data.size());
    const int line = line_;
    const size_t opening = has_sign ? 3 : 2;
    if (mark == '#') return Comment(opening, line);
    if (mark == '%' && WordAt(opening) == "raw") return Raw(opening, line);
    Push(mark == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin, "");
    Skip(opening);
    return Inside(mark == '{', line);
  }

  Status Comment(size_t opening, int line) {
    const size_t end = rest_.find("#}", opening);
    if (end == std::string_view::npos)
      return Wrong(line, "the comment that begins here has no end");
    const char sign = end > opening ? SignAt(end - 1) : '\0';
    Skip(end + 2);
    SkipAfterTag(sign, true);
    return {};
  }

  /// The word of a block tag whose opening mark has `opening` bytes.
  std::string_view WordAt(size_t opening) const {
    std::string_view text = rest_.substr(opening);
    while (const size_t blank = BlankAtBegin(text)) text.remove_prefix(blank);
    size_t end = 0;
    while (end < text.size() && IsNamePart(text[end])) ++end;
    return text.substr(0, end);
  }

  /// Skips the rest of a raw or endraw tag behind its opening mark.
  Status CloseRawTag(size_t opening, size_t word, bool trims, int line) {
    Skip(opening);
    while (const size_t blank = BlankAtBegin(rest_)) Skip(blank);
    Skip(word);
    while (const size_t blank = BlankAtBegin(rest_)) Skip(blank);
    const char sign = SignAt(0);
    if (sign != '\0') Skip(1);
    if (!rest_.starts_with("%}")) return Wrong(line, "expected %} at the end of a raw tag");
    Skip(2);
    SkipAfterTag(sign, trims);
    return {};
  }

  Status Raw(size_t opening, int line) {
    TERN_TRY(CloseRawTag(opening, 3, false, line));
    for (size_t at = rest_.find("{%"); at != std::string_view::npos;
         at = rest_.find("{%", at + 1)) {
      const char sign = SignAt(at + 2);
      const size_t mark = sign == '\0' ? 2 : 3;
      if (WordAt(at + mark) != "endraw") continue;
      const std::string_view data = rest_.substr(0, at);
      Push(TokenKind::kData, Trimmed(data, sign, false));
      Skip(at);
      return CloseRawTag(mark, 6, true, line_);
    }
    return Wrong(line, "raw without endraw");
  }

  /// True when the tag ends here; then its end is behind us.
  bool TagEnds(bool variable) {
    const std::string_view mark = variable ? "}}" : "%}";
    const char sign = SignAt(0);
    const bool has_sign = sign == '-' || (sign == '+' && !variable);
    if (!rest_.substr(has_sign ? 1 : 0).starts_with(mark)) return false;
    Push(variable ? TokenKind::kVariableEnd : TokenKind::kBlockEnd, "");
    Skip(has_sign ? 3 : 2);
    SkipAfterTag(has_sign ? sign : '\0', !variable);
    return true;
  }

  Status Inside(bool variable, int line) {
    std::string open;  // brackets
    while (true) {
      while (const size_t blank = BlankAtBegin(rest_)) Skip(blank);
      if (rest_.empty()) return Wrong(line, "the tag that begins here has no end");
      if (open.empty() && TagEnds(variable)) return {};
      TERN_TRY(ExpressionToken(open));
    }
  }

  Status ExpressionToken(std::string& open) {
    const char c = rest_[0];
    if (IsNameBegin(c)) return Take(TokenKind::kName, Length(IsNamePart));
    if (IsDigit(c)) return Number();
    if (c == '\'' || c == '"') return String(c);
    for (const std::string_view mark : kLongOperators)
      if (rest_.starts_with(mark)) return Take(TokenKind::kOperator, mark.size());
    if (kOperators.find(c) == std::string_view::npos)
      return Wrong(line_, fmt::format("unexpected character {:?}", rest_.substr(0, 1)));
    if (const size_t at = std::string_view("([{").find(c); at < 3) open += ")]}"[at];
    if (std::string_view(")]}").find(c) < 3) {
      if (open.empty() || open.back() != c) return Wrong(line_, fmt::format("unexpected '{}'", c));
      open.pop_back();
    }
    return Take(TokenKind::kOperator, 1);
  }

  template <class Predicate>
  size_t Length(Predicate part) const {
    size_t end = 0;
    while (end < rest_.size() && part(rest_[end])) ++end;
    return end;
  }

  Status Take(TokenKind kind, size_t bytes) {
    Push(kind, std::string(rest_.substr(0, bytes)));
    Skip(bytes);
    return {};
  }

  Status Number() {
    const auto digits = [this](size_t at) {
      while (at < rest_.size() && IsDigit(rest_[at])) ++at;
      return at;
    };
    size_t end = digits(0);
    bool is_float = false;
    if (end + 1 < rest_.size() && rest_[end] == '.' && IsDigit(rest_[end + 1])) {
      is_float = true;
      end = digits(end + 1);
    }
    if (end < rest_.size() && (rest_[end] == 'e' || rest_[end] == 'E')) {
      const size_t sign = SignAt(end + 1) == '\0' ? 0 : 1;
      if (const size_t exponent = digits(end + 1 + sign); exponent > end + 1 + sign) {
        is_float = true;
        end = exponent;
      }
    }
    if (end < rest_.size() && IsNamePart(rest_[end]))
      return Wrong(line_, "numbers other than decimal digits are not supported");
    return Take(is_float ? TokenKind::kFloat : TokenKind::kInteger, end);
  }

  Status String(char quote) {
    const int line = line_;
    size_t end = 1;
    while (end < rest_.size() && rest_[end] != quote) end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size()) return Wrong(line, "the string that begins here has no end");
    const std::optional<std::string> text = Unescaped(rest_.substr(1, end - 1));
    if (!text) return Wrong(line, "a string with an escape that is not understood");
    Push(TokenKind::kString, *text);
    Skip(end + 1);
    return {};
  }

  std::string source_;
  std::string_view rest_;
  std::vector<Token> tokens_;
  int line_ = 1;
  bool line_begins_ = true;  // nothing stands before rest_ in its line
};

}  // namespace

Result<std::vector<Token>> Lex(std::string_view source) { return Lexer(Normalized(source)).Run(); }

}  // namespace tern::jinja
