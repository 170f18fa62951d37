#include "formats/printable.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace tern {

std::string Printable(std::string_view text, size_t max_bytes) {
  std::string out;
  for (const char c : text.substr(0, max_bytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '\'')
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    else
      out += c;
  }
  if (text.size() > max_bytes) out += "...";
  return out;
}

std::string HexBytes(std::string_view bytes, size_t count) {
  std::string out;
  for (const char c : bytes.substr(0, count))
    fmt::format_to(std::back_inserter(out), "{}{:02x}", out.empty() ? "" : " ",
                   static_cast<unsigned char>(c));
  return out;
}

}  // namespace tern
