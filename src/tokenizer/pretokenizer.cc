#include "tokenizer/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "tokenizer/quoted.h"

namespace tern {
namespace {

// \s, \p{L} and \p{N} are spelled out before an expression is compiled, so that ids depend neither
// on PCRE2's idea of white space (it counts U+180E, which left White_Space in Unicode 6.3) nor on
// the Unicode version it was built with.
constexpr std::string_view kWhiteSpace =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
// Letters and numbers that Unicode 15 to 17 added to those of Unicode 14, which every supported
// PCRE2 has.
constexpr std::string_view kNewLetters =
    R"(\x{88f}\x{c5c}\x{cdc}\x{1c89}\x{1c8a}\x{a7cb}-\x{a7cf}\x{a7d2}\x{a7d4}\x{a7da}-\x{a7dc}\x{a7f1})"
    R"(\x{105c0}-\x{105f3}\x{10940}-\x{10959}\x{10d4a}-\x{10d65}\x{10d6f}-\x{10d85}\x{10ec2}-\x{10ec7})"
    R"(\x{1123f}\x{11240}\x{11380}-\x{11389}\x{1138b}\x{1138e}\x{11390}-\x{113b5}\x{113b7}\x{113d1}\x{113d3})"
    R"(\x{11bc0}-\x{11be0}\x{11db0}-\x{11ddb}\x{11f02}\x{11f04}-\x{11f10}\x{11f12}-\x{11f33}\x{1342f})"
    R"(\x{13441}-\x{13446}\x{13460}-\x{143fa}\x{16100}-\x{1611d}\x{16d40}-\x{16d6c}\x{16ea0}-\x{16eb8})"
    R"(\x{16ebb}-\x{16ed3}\x{16ff2}\x{16ff3}\x{187f8}-\x{187ff}\x{18cff}\x{18d09}-\x{18d1e}\x{18d80}-\x{18df2})"
    R"(\x{1b132}\x{1b155}\x{1df25}-\x{1df2a}\x{1e030}-\x{1e06d}\x{1e4d0}-\x{1e4eb}\x{1e5d0}-\x{1e5ed}\x{1e5f0})"
    R"(\x{1e6c0}-\x{1e6de}\x{1e6e0}-\x{1e6e2}\x{1e6e4}\x{1e6e5}\x{1e6e7}-\x{1e6ed}\x{1e6f0}-\x{1e6f4}\x{1e6fe})"
    R"(\x{1e6ff}\x{2b739}-\x{2b73f}\x{2cea2}-\x{2cead}\x{2ebf0}-\x{2ee5d}\x{31350}-\x{33479})";
constexpr std::string_view kNewNumbers =
    R"(\x{10d40}-\x{10d49}\x{116d0}-\x{116e3}\x{11bf0}-\x{11bf9}\x{11de0}-\x{11de9}\x{11f50}-\x{11f59})"
    R"(\x{16130}-\x{16139}\x{16d70}-\x{16d79}\x{16ff4}-\x{16ff6}\x{1ccf0}-\x{1ccf9}\x{1d2c0}-\x{1d2d3})"
    R"(\x{1e4f0}-\x{1e4f9}\x{1e5f1}-\x{1e5fa})";

struct Step {
  std::string_view name;
  const char* expression;
  // The same matches without time that grows with the square of the text; null when the expression
  // itself will do.
  const char* faster = nullptr;
};

// docs/formats.md, tokenizers. Leftmost-first alternation. (?i:...) lets s match U+017F too, as the
// files ask.
constexpr Step kSteps[] = {
    {"llama3",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"qwen2",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"gpt2", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))"},
    {"digit", R"(\p{N})"},
    {"digits", R"(\p{N}+)"},
    {"ascii-digits-3", R"([0-9][0-9][0-9])"},
    {"punctuation", R"([\p{P}\$\+<=>\^~\|`]+)"},
    {"punctuation-but-backtick", R"([\p{P}\$\+<=>\^~\|]+)"},
    {"line-break", R"([\r\n])"},
    {"spaced-letters", R"(\s?\p{L}+)"},
    {"spaced-punctuation", R"(\s?\p{P}+)"},
    {"east-asian", R"([\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+)"},
    {"spaced-cased-letters",
     R"(\s?[A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293}\x{295}-\x{2af})"
     R"(\x{370}-\x{373}\x{376}\x{377}\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-\x{38a}\x{38c}\x{38e}-\x{3a1})"
     R"(\x{3a3}-\x{3f5}\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-\x{556}\x{10a0}-\x{10c5}\x{13a0}-\x{13f5})"
     R"(\x{13f8}-\x{13fd}\x{1c90}-\x{1cba}\x{1cbd}-\x{1cbf}\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}\x{1d79}-\x{1d9a})"
     R"(\x{1e00}-\x{1f15}\x{1f18}-\x{1f1d}\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}\x{1f59}\x{1f5b})"
     R"(\x{1f5d}\x{1f5f}-\x{1f7d}\x{1f80}-\x{1fb4}\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4}\x{1fc6}-\x{1fcc})"
     R"(\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}\x{1fe0}-\x{1fec}\x{1ff2}-\x{1ff4}\x{1ff6}-\x{1ffc}\x{2102}\x{2107})"
     R"(\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124}\x{2126}\x{2128}\x{212a}-\x{212d}\x{212f}-\x{2134})"
     R"(\x{2139}\x{213c}-\x{213f}\x{2145}-\x{2149}\x{214e}\x{2183}\x{2184}\x{2c00}-\x{2c7b}\x{2c7e}-\x{2ce4})"
     R"(\x{2ceb}-\x{2cee}\x{2cf2}\x{2cf3}\x{a640}-\x{a66d}\x{a680}-\x{a69b}\x{a722}-\x{a76f}\x{a771}-\x{a787})"
     R"(\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}\x{fb13}-\x{fb17}\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a})"
     R"(\x{10400}-\x{1044f}\x{104b0}-\x{104d3}\x{104d8}-\x{104fb}\x{10c80}-\x{10cb2}\x{10cc0}-\x{10cf2})"
     R"(\x{118a0}-\x{118df}\x{1e900}-\x{1e943}]+)"},
    {"spaced-symbols",
     R"(\s?[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f}\x{3000}-\x{3002}]+)"},
    {"final-space", R"(\s+$)", R"((?<!\s)\s+$)"},
};

struct NamedPretokenizer {
  std::vector<std::string_view> names;  // the first is what PretokenizerName gives
  PretokenizerTraits traits;
};

const std::vector<NamedPretokenizer>& Table() {
  static const std::vector<NamedPretokenizer> table = {
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon_e"}, {{"llama3"}, true, true}},
      {{"dbrx", "smaug-bpe"}, {{"llama3"}}},
      {{"qwen2"}, {{"qwen2"}}},
      {{"gpt-2", "phi-2", "mpt"}, {{"gpt2"}}},
      {{"starcoder", "refact"}, {{"digit", "gpt2"}}},
      {{"falcon"}, {{"punctuation", "gpt2", "ascii-digits-3"}}},
      {{"default"}, {{"punctuation-but-backtick", "gpt2", "digits", "ascii-digits-3"}}},
      {{"deepseek-llm"},
       {{"line-break", "spaced-cased-letters", "spaced-symbols", "final-space", "east-asian",
         "digits"}}},
      {{"deepseek-coder"},
       {{"line-break", "spaced-letters", "spaced-punctuation", "east-asian", "digit"}}},
  };
  return table;
}

constexpr std::string_view kComposed = "steps:";

std::vector<std::string_view> SplitAtCommas(std::string_view list) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t comma = list.find(',');
    parts.push_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    list.remove_prefix(comma + 1);
  }
}

const Step* FindStepByName(std::string_view name) {
  const auto* step = std::find_if(std::begin(kSteps), std::end(kSteps),
                                  [&](const Step& s) { return s.name == name; });
  return step == std::end(kSteps) ? nullptr : step;
}

Result<PretokenizerTraits> Compose(std::string_view name) {
  PretokenizerTraits traits;
  for (const std::string_view step : SplitAtCommas(name.substr(kComposed.size()))) {
    const Step* found = FindStepByName(step);
    if (found == nullptr)
      return Fail(Code::kUnsupported, "pre-tokenizer {}: no step is called {}", Quoted(name),
                  Quoted(step));
    traits.steps.push_back(found->name);
  }
  return traits;
}

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

/// One spelling for all spellings of an expression that FindStep takes for equal.
std::string Canonical(std::string_view expression) {
  std::string out(expression);
  ReplaceAll(out, "\r", R"(\r)");
  ReplaceAll(out, "\n", R"(\n)");
  ReplaceAll(out, "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])",
             "(?i:'s|'t|'re|'ve|'m|'ll|'d)");
  ReplaceAll(out, "'(?:[sdmt]|ll|ve|re)", "'s|'t|'re|'ve|'m|'ll|'d");
  const std::string_view rest = R"(|\s+)";
  if (out.ends_with(std::string(R"(|\s+(?!\S))") += rest)) out.resize(out.size() - rest.size());
  return out;
}

/// Spells out \s, \S, \p{L} and \p{N}.
std::string ExpandClasses(std::string_view expression) {
  std::string out;
  bool in_class = false;
  const auto put_class = [&](std::string_view members, bool negated = false) {
    if (in_class) {
      out += members;
    } else {
      out.append(negated ? "[^" : "[").append(members).append("]");
    }
  };
  while (!expression.empty()) {
    const auto starts = [&](std::string_view what) { return expression.starts_with(what); };
    size_t used = 1;
    if (starts(R"(\s)")) {
      put_class(kWhiteSpace);
      used = 2;
    } else if (starts(R"(\S)")) {
      put_class(kWhiteSpace, true);
      used = 2;
    } else if (starts(R"(\p{L})")) {
      put_class(std::string(R"(\p{L})").append(kNewLetters));
      used = 5;
    } else if (starts(R"(\p{N})")) {
      put_class(std::string(R"(\p{N})").append(kNewNumbers));
      used = 5;
    } else {
      if (starts("[")) in_class = true;
      if (starts("]")) in_class = false;
      if (starts("\\")) used = 2;
      out += expression.substr(0, used);
    }
    expression.remove_prefix(used);
  }
  return out;
}

template <auto kFree>
struct Deleter {
  template <class T>
  void operator()(T* p) const {
    kFree(p);
  }
};
using MatchData = std::unique_ptr<pcre2_match_data, Deleter<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Deleter<pcre2_match_context_free>>;

}  // namespace

/// A compiled expression. Matching needs scratch space per call, so the object itself stays
/// immutable.
class Pretokenizer::Expression {
 public:
  explicit Expression(std::string_view expression) {
    const std::string expanded = ExpandClasses(expression);
    int error = 0;
    PCRE2_SIZE at = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expanded.data()), expanded.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &error, &at, nullptr));
    if (code_ != nullptr) pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);  // slower without
  }

  bool compiled() const { return code_ != nullptr; }

  /// Appends the pieces of `text` to `out`.
  void Split(std::string_view text, std::vector<std::string_view>& out) const {
    const MatchData match(pcre2_match_data_create(1, nullptr));
    size_t piece_start = 0;
    size_t from = 0;
    while (match != nullptr && from < text.size() && Match(text, from, match.get())) {
      const PCRE2_SIZE* span = pcre2_get_ovector_pointer(match.get());
      if (span[0] > piece_start) out.push_back(text.substr(piece_start, span[0] - piece_start));
      if (span[1] > span[0]) out.push_back(text.substr(span[0], span[1] - span[0]));
      piece_start = from = span[1];
      if (span[1] == span[0]) break;  // no expression of the table matches nothing
    }
    if (piece_start < text.size()) out.push_back(text.substr(piece_start));
  }

 private:
  bool Match(std::string_view text, size_t from, pcre2_match_data* match) const {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int found =
        pcre2_match(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK, match, nullptr);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT || found == PCRE2_ERROR_MATCHLIMIT) {
      // Very long pieces: the interpreter keeps its frames on the heap and has no recursion.
      const MatchContext context(pcre2_match_context_create(nullptr));
      if (context == nullptr) return false;
      pcre2_set_match_limit(context.get(), std::numeric_limits<uint32_t>::max());
      found = pcre2_match(code_.get(), subject, text.size(), from,
                          PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match, context.get());
    }
    return found >= 0;
  }

  std::unique_ptr<pcre2_code, Deleter<pcre2_code_free>> code_;
};

Result<PretokenizerTraits> FindPretokenizer(std::string_view name) {
  if (name.starts_with(kComposed)) return Compose(name);
  std::string known;
  for (const NamedPretokenizer& row : Table()) {
    for (const std::string_view alias : row.names) {
      if (alias == name) return row.traits;
      known.append(known.empty() ? "" : ", ").append(alias);
    }
  }
  return Fail(Code::kUnsupported, "unknown pre-tokenizer {}, known are {}", Quoted(name), known);
}

std::optional<std::string_view> FindStep(std::string_view expression) {
  const std::string canonical = Canonical(expression);
  for (const Step& step : kSteps)
    if (Canonical(step.expression) == canonical) return step.name;
  return std::nullopt;
}

std::string PretokenizerName(std::span<const std::string_view> steps, bool ignore_merges) {
  std::string name;
  for (const NamedPretokenizer& row : Table()) {
    if (!std::ranges::equal(row.traits.steps, steps)) continue;
    if (row.traits.ignore_merges == ignore_merges) return std::string(row.names.front());
    if (name.empty()) name = row.names.front();
  }
  if (!name.empty()) return name;
  name = kComposed;
  for (const std::string_view step : steps) {
    if (name.size() > kComposed.size()) name += ',';
    name += step;
  }
  return name;
}

Pretokenizer::Pretokenizer(PretokenizerTraits traits) : traits_(std::move(traits)) {}
Pretokenizer::Pretokenizer(Pretokenizer&&) noexcept = default;
Pretokenizer& Pretokenizer::operator=(Pretokenizer&&) noexcept = default;
Pretokenizer::~Pretokenizer() = default;

Result<Pretokenizer> Pretokenizer::Create(std::string_view name) {
  TERN_ASSIGN_OR_RETURN(PretokenizerTraits traits, FindPretokenizer(name));
  Pretokenizer out(std::move(traits));
  for (const std::string_view step : out.traits_.steps) {
    const Step* found = FindStepByName(step);
    out.expressions_.push_back(
        std::make_unique<Expression>(found->faster ? found->faster : found->expression));
    if (!out.expressions_.back()->compiled())
      return Fail(Code::kInternal, "pre-tokenizer '{}': step '{}' doesn't compile", name, step);
  }
  return out;
}

std::vector<std::string_view> Pretokenizer::Split(std::string_view text) const {
  std::vector<std::string_view> pieces;
  if (!text.empty()) pieces.push_back(text);
  for (const auto& expression : expressions_) {
    std::vector<std::string_view> next;
    for (const std::string_view piece : pieces) expression->Split(piece, next);
    pieces.swap(next);
  }
  return pieces;
}

}  // namespace tern
