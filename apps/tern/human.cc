#include "human.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "tokenizer/utf8.h"

namespace tern::cli {
namespace {

struct Unit {
  double size;
  std::string_view prefix;
};
constexpr std::array<Unit, 4> kUnits = {{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}}};
constexpr uint64_t kWrittenOut = 10000;  // smaller numbers need no unit

}  // namespace

std::string HumanCount(uint64_t count) {
  if (count >= kWrittenOut)
    for (const auto& [size, prefix] : kUnits)
      if (static_cast<double>(count) >= size)
        return fmt::format("{:.1f} {}", static_cast<double>(count) / size, prefix);
  return std::to_string(count);
}

std::string HumanTime(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string OneLine(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Utf8Step step = NextUtf8(text);
    const std::string_view part = text.substr(0, step.length);
    text.remove_prefix(step.length);
    const bool control = step.code_point < 0x20 || step.code_point == 0x7f;
    if (part == "\n") {
      out += "\\n";
    } else if (step.kind == Utf8Kind::kCharacter && !control) {
      out += part;
    } else {
      for (const char c : part) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string HumanBytes(uint64_t bytes) {
  const std::string count = HumanCount(bytes);
  return count + (bytes >= kWrittenOut ? "B" : " B");
}

}  // namespace tern::cli
