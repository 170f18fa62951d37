// Cuts text into the pieces inside which byte-level BPE merges. A pre-tokenizer is a list of steps,
// each one regular expression applied to the pieces that the step before it left; what lies between
// matches is a piece too.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tern {

/// What belongs to the value of tokenizer.ggml.pre.
struct PretokenizerTraits {
  std::vector<std::string_view> steps;  // names of steps, in order
  bool ignore_merges = false;  // a piece that is a token as a whole is not merged up from bytes
  bool add_bos = false;        // when the file doesn't say
};

/// A name of the table ("llama-bpe", "qwen2", ..., aliases included), or a composed one,
/// "steps:a,b,c", in which a, b and c are names of steps (tokenizer.json files may combine them
/// freely). Errors: kUnsupported for an unknown name; the message lists the known ones.
Result<PretokenizerTraits> FindPretokenizer(std::string_view name);

/// The name of the step whose expression is this one, spelling apart: "(?i:'s|...)" or
/// "(?:'[sS]|...)" for the English suffixes, characters or escapes for line breaks, a final |\s+
/// that only collects what is left over.
std::optional<std::string_view> FindStep(std::string_view expression);

/// The name for a list of steps: that of the table row with these steps and this ignore_merges,
/// else of a row with these steps (the spec's own flag counts then), else "steps:...".
std::string PretokenizerName(std::span<const std::string_view> steps, bool ignore_merges);

/// Thread rule: immutable, safe to share.
class Pretokenizer {
 public:
  /// Errors: those of FindPretokenizer.
  static Result<Pretokenizer> Create(std::string_view name);
  Pretokenizer(Pretokenizer&&) noexcept;
  Pretokenizer& operator=(Pretokenizer&&) noexcept;
  ~Pretokenizer();

  const PretokenizerTraits& traits() const { return traits_; }

  /// Pieces of well-formed UTF-8, in order; together they are the text.
  std::vector<std::string_view> Split(std::string_view text) const;

 private:
  class Expression;
  explicit Pretokenizer(PretokenizerTraits traits);

  PretokenizerTraits traits_;
  std::vector<std::unique_ptr<Expression>> expressions_;
};

}  // namespace tern
