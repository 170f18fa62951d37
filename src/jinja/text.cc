#include "jinja/text.h"

#include <algorithm>

namespace tern::jinja {
namespace {

bool Continues(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// Blanks of Python's str.isspace in UTF-8, those of one byte apart.
constexpr std::string_view kWideBlanks[] = {"\u0085", "\u00A0", "\u1680", "\u2000", "\u2001",
                                            "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
                                            "\u2007", "\u2008", "\u2009", "\u200A", "\u2028",
                                            "\u2029", "\u202F", "\u205F", "\u3000"};

bool IsNarrowBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 28 && c <= 31); }

/// Length of the line break at `at`, 0 when there is none.
size_t BreakAt(std::string_view text, size_t at) {
  const std::string_view rest = text.substr(at);
  if (rest.starts_with("\r\n")) return 2;
  const char c = rest[0];
  if ((c >= '\n' && c <= '\r') || (c >= 28 && c <= 30)) return 1;
  for (const std::string_view wide : {"\u0085", "\u2028", "\u2029"})
    if (rest.starts_with(wide)) return wide.size();
  return 0;
}

/// Length of the character that begins at `at`.
size_t CharacterLength(std::string_view text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() && Continues(text[end])) ++end;
  return end - at;
}

size_t InSetAtBegin(std::string_view text, std::string_view set) {
  if (text.empty()) return 0;
  const size_t length = CharacterLength(text, 0);
  return set.find(text.substr(0, length)) == std::string_view::npos ? 0 : length;
}

size_t InSetAtEnd(std::string_view text, std::string_view set) {
  if (text.empty()) return 0;
  size_t begin = text.size() - 1;
  while (begin > 0 && Continues(text[begin])) --begin;
  return set.find(text.substr(begin)) == std::string_view::npos ? 0 : text.size() - begin;
}

char UpperOf(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
char LowerOf(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

Text::Text(std::string_view bytes, Origin origin)
    : bytes_(bytes), origins_(bytes.size(), static_cast<char>(origin)) {}

size_t Text::StretchEnd(size_t begin) const {
  return std::min(origins_.find_first_not_of(origins_[begin], begin), size());
}

void Text::Append(const Text& other) {
  bytes_ += other.bytes_;
  origins_ += other.origins_;
}

void Text::Append(std::string_view bytes, Origin origin) {
  bytes_ += bytes;
  origins_.append(bytes.size(), static_cast<char>(origin));
}

Text Text::Cut(size_t begin, size_t end) const {
  Text out;
  out.bytes_ = bytes_.substr(begin, end - begin);
  out.origins_ = origins_.substr(begin, end - begin);
  return out;
}

std::vector<size_t> CharacterBounds(std::string_view text) {
  std::vector<size_t> bounds;
  for (size_t i = 0; i < text.size(); ++i)
    if (i == 0 || !Continues(text[i])) bounds.push_back(i);
  bounds.push_back(text.size());
  return bounds;
}

size_t BlankAtBegin(std::string_view text) {
  if (text.empty()) return 0;
  if (IsNarrowBlank(text[0])) return 1;
  for (const std::string_view blank : kWideBlanks)
    if (text.starts_with(blank)) return blank.size();
  return 0;
}

size_t BlankAtEnd(std::string_view text) {
  if (text.empty()) return 0;
  if (IsNarrowBlank(text.back())) return 1;
  for (const std::string_view blank : kWideBlanks)
    if (text.ends_with(blank)) return blank.size();
  return 0;
}

Text Strip(const Text& text, bool left, bool right, const std::string* set) {
  std::string_view rest = text.bytes();
  size_t begin = 0;
  while (left) {
    const size_t length = set != nullptr ? InSetAtBegin(rest, *set) : BlankAtBegin(rest);
    if (length == 0) break;
    rest.remove_prefix(length);
    begin += length;
  }
  while (right) {
    const size_t length = set != nullptr ? InSetAtEnd(rest, *set) : BlankAtEnd(rest);
    if (length == 0) break;
    rest.remove_suffix(length);
  }
  return text.Cut(begin, begin + rest.size());
}

std::vector<Text> Split(const Text& text, std::string_view separator, int64_t limit) {
  std::vector<Text> parts;
  size_t begin = 0;
  while (limit < 0 || std::ssize(parts) < limit) {
    const size_t found = text.bytes().find(separator, begin);
    if (found == std::string::npos) break;
    parts.push_back(text.Cut(begin, found));
    begin = found + separator.size();
  }
  parts.push_back(text.Cut(begin, text.size()));
  return parts;
}

std::vector<Text> SplitRight(const Text& text, std::string_view separator, int64_t limit) {
  std::vector<Text> parts;
  size_t end = text.size();
  while ((limit < 0 || std::ssize(parts) < limit) && end >= separator.size()) {
    const size_t found = text.bytes().rfind(separator, end - separator.size());
    if (found == std::string::npos) break;
    parts.push_back(text.Cut(found + separator.size(), end));
    end = found;
  }
  parts.push_back(text.Cut(0, end));
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<Text> SplitBlanks(const Text& text, int64_t limit) {
  std::vector<Text> parts;
  const std::string_view bytes = text.bytes();
  size_t at = 0;
  while (true) {
    while (const size_t blank = BlankAtBegin(bytes.substr(at))) at += blank;
    if (at == bytes.size()) return parts;
    const size_t begin = at;
    if (limit >= 0 && std::ssize(parts) == limit) {
      parts.push_back(text.Cut(begin, bytes.size()));
      return parts;
    }
    while (at < bytes.size() && BlankAtBegin(bytes.substr(at)) == 0) ++at;
    parts.push_back(text.Cut(begin, at));
  }
}

std::vector<Text> SplitLines(const Text& text) {
  std::vector<Text> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t length = BreakAt(text.bytes(), at);
    if (length > 0) lines.push_back(text.Cut(begin, at));
    at += std::max<size_t>(length, 1);
    if (length > 0) begin = at;
  }
  if (begin < text.size()) lines.push_back(text.Cut(begin, text.size()));
  return lines;
}

Text Replace(const Text& text, std::string_view from, const Text& to, int64_t limit) {
  Text out;
  int64_t done = 0;
  const auto more = [&] { return limit < 0 || done < limit; };
  if (from.empty()) {
    const std::vector<size_t> bounds = CharacterBounds(text.bytes());
    for (size_t i = 0; i < bounds.size(); ++i, ++done) {
      if (more()) out.Append(to);
      if (i + 1 < bounds.size()) out.Append(text.Cut(bounds[i], bounds[i + 1]));
    }
    return out;
  }
  size_t begin = 0;
  for (; more(); ++done) {
    const size_t found = text.bytes().find(from, begin);
    if (found == std::string::npos) break;
    out.Append(text.Cut(begin, found));
    out.Append(to);
    begin = found + from.size();
  }
  out.Append(text.Cut(begin, text.size()));
  return out;
}

Text Upper(Text text) {
  for (size_t i = 0; i < text.size(); ++i) text.SetByte(i, UpperOf(text.bytes()[i]));
  return text;
}

Text Lower(Text text) {
  for (size_t i = 0; i < text.size(); ++i) text.SetByte(i, LowerOf(text.bytes()[i]));
  return text;
}

Text Title(Text text) {
  bool inside = false;  // a word
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text.bytes()[i];
    text.SetByte(i, inside ? LowerOf(c) : UpperOf(c));
    inside = UpperOf(c) != LowerOf(c) || static_cast<unsigned char>(c) >= 0x80;
  }
  return text;
}

Text TitleWords(Text text) {
  constexpr std::string_view kSeparators = "-({[<";
  bool inside = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text.bytes()[i];
    text.SetByte(i, inside ? LowerOf(c) : UpperOf(c));
    inside = kSeparators.find(c) == std::string_view::npos &&
             BlankAtBegin(std::string_view(text.bytes()).substr(i)) == 0;
  }
  return text;
}

Text Capitalize(Text text) {
  text = Lower(std::move(text));
  if (!text.empty()) text.SetByte(0, UpperOf(text.bytes()[0]));
  return text;
}

}  // namespace tern::jinja
