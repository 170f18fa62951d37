#include "perf/callgrind.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace tern {
namespace {

std::optional<uint64_t> Number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool Allocates(std::string_view function) {
  constexpr std::array<std::string_view, 7> kNames = {
      "malloc", "calloc", "realloc", "memalign", "aligned_alloc", "posix_memalign", "valloc"};
  return std::find(kNames.begin(), kNames.end(), function) != kNames.end();
}

class Parser {
 public:
  explicit Parser(std::string file) : file_(std::move(file)) {}

  Status Line(std::string_view line) {
    ++number_;
    if (line.empty() || line[0] == '#') return {};
    const char first = line[0];
    if (first == '+' || first == '-' || first == '*' || (first >= '0' && first <= '9'))
      return Cost(line);
    if (line.starts_with("fn=")) return Name(line.substr(3), function_);
    if (line.starts_with("cfn=")) return Name(line.substr(4), called_);
    if (line.starts_with("calls=")) return Calls(line.substr(6));
    if (line.starts_with("events:") && line != "events: Ir")
      return Wrong("expected the only event Ir", line);
    if (line.starts_with("totals:") || line.starts_with("summary:")) {
      const auto total = Number(line.substr(line.find(' ') + 1));
      if (!total) return Wrong("expected a number", line);
      profile_.total = *total;
      seen_total_ = true;
    }
    return {};  // files, objects, heads
  }

  Result<InstructionProfile> Finish() {
    if (!seen_total_)
      return Fail(Code::kCorrupt, "{}: expected a file of callgrind with its totals", file_);
    return std::move(profile_);
  }

 private:
  tl::unexpected<Error> Wrong(std::string_view expected, std::string_view line) const {
    return Fail(Code::kCorrupt, "{}: line {}: {}, found '{}'", file_, number_, expected,
                line.substr(0, 80));
  }

  // "(7) name" the first time, "(7)" from then on.
  Status Name(std::string_view text, std::string& out) {
    if (!text.starts_with('(')) {
      out = text;
      return {};
    }
    const size_t end = text.find(')');
    const auto id = end == std::string_view::npos ? std::nullopt : Number(text.substr(1, end - 1));
    if (!id) return Wrong("expected the number of a name", text);
    if (end + 2 < text.size()) names_[*id] = text.substr(end + 2);
    const auto known = names_.find(*id);
    if (known == names_.end()) return Wrong("expected a name that was given before", text);
    out = known->second;
    return {};
  }

  Status Calls(std::string_view text) {
    const auto count = Number(text.substr(0, text.find(' ')));
    if (!count) return Wrong("expected how many calls", text);
    // realloc of a new block calls malloc inside; what the program asked for is counted.
    if (Allocates(called_) && !Allocates(function_)) profile_.allocations += *count;
    inclusive_ = true;
    return {};
  }

  Status Cost(std::string_view line) {
    const size_t blank = line.find(' ');
    const auto cost =
        blank == std::string_view::npos ? std::nullopt : Number(line.substr(blank + 1));
    if (!cost) return Wrong("expected a position and a cost", line);
    if (!inclusive_) profile_.self[function_] += *cost;
    inclusive_ = false;
    return {};
  }

  std::string file_;
  size_t number_ = 0;
  std::map<uint64_t, std::string> names_;
  std::string function_, called_;
  bool inclusive_ = false;  // the next cost is that of a call
  bool seen_total_ = false;
  InstructionProfile profile_;
};

}  // namespace

uint64_t InstructionProfile::Instructions(std::string_view text) const {
  if (text.empty()) return total;
  uint64_t sum = 0;
  for (const auto& [name, count] : self)
    if (name.find(text) != std::string::npos) sum += count;
  return sum;
}

Result<InstructionProfile> ParseCallgrind(std::string_view text, const std::string& name) {
  Parser parser(name);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    TERN_TRY(parser.Line(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parser.Finish();
}

}  // namespace tern
