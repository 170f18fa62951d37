// A second reading of GBNF, to hold the real one against: backtracking straight over the text of
// the grammar, without automata. ASCII, well-formed grammars, one rule a line; exponential.
#pragma once

#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <string_view>

namespace tern::test {

class GbnfOracle {
 public:
  explicit GbnfOracle(const std::string& grammar) {
    std::istringstream lines(grammar);
    for (std::string line; std::getline(lines, line);) {
      const size_t at = line.find("::=");
      if (at == std::string::npos) continue;
      std::string name = line.substr(0, at);
      name.erase(name.find_last_not_of(' ') + 1);
      rules_[name] = line.substr(at + 3);
    }
  }

  bool Matches(std::string_view text) const {
    return Choice(rules_.at("root"), text, [](std::string_view rest) { return rest.empty(); });
  }

 private:
  using Then = std::function<bool(std::string_view)>;

  static std::string_view Trim(std::string_view s) {
    while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
    return s;
  }

  /// Length of the element that `s` begins with, without its repetition.
  static size_t ElementLength(std::string_view s) {
    if (s[0] == '"' || s[0] == '[') {
      size_t i = 1;
      for (const char end = s[0] == '"' ? '"' : ']'; s[i] != end; ++i)
        if (s[i] == '\\') ++i;
      return i + 1;
    }
    if (s[0] == '(') {
      size_t i = 1;
      while (s[i] != ')') i += ElementLength(s.substr(i));
      return i + 1;
    }
    if (!isalnum(static_cast<unsigned char>(s[0]))) return 1;
    size_t i = 0;
    while (i < s.size() && (isalnum(static_cast<unsigned char>(s[i])) || s[i] == '-')) ++i;
    return i;
  }

  bool Choice(std::string_view body, std::string_view text, const Then& then) const {
    size_t bar = 0;
    while (bar < body.size() && body[bar] != '|') bar += ElementLength(body.substr(bar));
    if (Sequence(body.substr(0, bar), text, then)) return true;
    return bar < body.size() && Choice(body.substr(bar + 1), text, then);
  }

  bool Sequence(std::string_view body, std::string_view text, const Then& then) const {
    body = Trim(body);
    if (body.empty()) return then(text);
    const size_t length = ElementLength(body);
    const std::string_view element = body.substr(0, length);
    std::string_view rest = body.substr(length);
    int min = 1, max = 1;
    if (!rest.empty() && std::string_view("*+?{").find(rest[0]) != std::string_view::npos) {
      size_t used = 1;
      if (rest[0] == '{') {
        used = rest.find('}') + 1;
        const std::string inside(rest.substr(1, used - 2));
        const size_t comma = inside.find(',');
        min = std::stoi(inside);
        max = comma == std::string::npos   ? min
              : comma + 1 == inside.size() ? 1000
                                           : std::stoi(inside.substr(comma + 1));
      } else {
        min = rest[0] == '+' ? 1 : 0;
        max = rest[0] == '?' ? 1 : 1000;
      }
      rest = rest.substr(used);
    }
    return Repeat(element, min, max, text,
                  [&](std::string_view after) { return Sequence(rest, after, then); });
  }

  bool Repeat(std::string_view element, int min, int max, std::string_view text,
              const Then& then) const {
    if (min <= 0 && then(text)) return true;
    if (max == 0) return false;
    return Element(element, text, [&](std::string_view after) {
      if (after.size() == text.size() && min <= 0) return false;  // no progress
      return Repeat(element, min - 1, max - 1, after, then);
    });
  }

  bool Element(std::string_view element, std::string_view text, const Then& then) const {
    const std::string_view inside = element.substr(1, element.size() - 2);
    switch (element[0]) {
      case '(':
        return Choice(inside, text, then);
      case '.':
        return !text.empty() && then(text.substr(1));
      case '"':
        return text.starts_with(inside) && then(text.substr(inside.size()));
      case '[': {
        if (text.empty()) return false;
        const bool negated = inside[0] == '^';
        bool found = false;
        for (size_t i = negated ? 1 : 0; i < inside.size(); ++i) {
          char high = inside[i];
          const char low = high;
          if (i + 2 < inside.size() && inside[i + 1] == '-') high = inside[i += 2];
          found |= low <= text[0] && text[0] <= high;
        }
        return found != negated && then(text.substr(1));
      }
      default:
        return Choice(rules_.at(std::string(element)), text, then);
    }
  }

  std::map<std::string, std::string> rules_;
};

}  // namespace tern::test
