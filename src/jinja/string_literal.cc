#include "jinja/string_literal.h"

#include <charconv>
#include <cstdint>

namespace tern::jinja {
namespace {

/// False for what is no Unicode scalar value.
bool AppendCodePoint(uint32_t code, std::string& out) {
  const auto byte = [&out](uint32_t value) { out += static_cast<char>(value); };
  if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xC0 | code >> 6);
    byte(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    byte(0xE0 | code >> 12);
    byte(0x80 | (code >> 6 & 0x3F));
    byte(0x80 | (code & 0x3F));
  } else {
    byte(0xF0 | code >> 18);
    byte(0x80 | (code >> 12 & 0x3F));
    byte(0x80 | (code >> 6 & 0x3F));
    byte(0x80 | (code & 0x3F));
  }
  return true;
}

/// Reads the number behind \x, \u, \U or \ and moves `text` past it.
bool NumberEscape(std::string_view& text, size_t digits, int base, bool exact, std::string& out) {
  uint32_t code = 0;
  const std::string_view number = text.substr(0, digits);
  const auto [end, ec] = std::from_chars(number.data(), number.data() + number.size(), code, base);
  const auto length = static_cast<size_t>(end - number.data());
  if (ec != std::errc() || (exact && length != digits)) return false;
  text.remove_prefix(length);
  return AppendCodePoint(code, out);
}

}  // namespace

std::optional<std::string> Unescaped(std::string_view text) {
  constexpr std::string_view kMarks = "ntrabfv\\'\"";
  constexpr std::string_view kMeanings = "\n\t\r\a\b\f\v\\'\"";
  std::string out;
  while (!text.empty()) {
    const char c = text[0];
    text.remove_prefix(1);
    if (c != '\\' || text.empty()) {
      out += c;
      continue;
    }
    const char mark = text[0];
    if (mark >= '0' && mark <= '7') {
      if (!NumberEscape(text, 3, 8, false, out)) return std::nullopt;
      continue;
    }
    text.remove_prefix(1);
    if (const size_t at = kMarks.find(mark); at != std::string_view::npos) {
      out += kMeanings[at];
    } else if (mark == 'x' || mark == 'u' || mark == 'U') {
      const size_t digits = mark == 'x' ? 2 : (mark == 'u' ? 4 : 8);
      if (!NumberEscape(text, digits, 16, true, out)) return std::nullopt;
    } else if (mark == 'N') {
      return std::nullopt;
    } else if (mark != '\n') {
      out += c;
      out += mark;
    }
  }
  return out;
}

}  // namespace tern::jinja
