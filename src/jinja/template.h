// A small Jinja: what chat templates of language models use of it, read from files that nobody
// vouches for. Semantics are those of Python's jinja2 as the transformers library sets it up
// (ImmutableSandboxedEnvironment, trim_blocks, lstrip_blocks, loop controls, its `tojson`,
// `raise_exception` and `strftime_now`); tests/data/templates holds what that gives.
//
// Known: output, if, for, set, macro, break, continue, raw, generation (as a plain block);
// expressions with all operators, slices, calls; the filters and tests of names.h; the usual
// methods of strings, dicts and lists. Letters change case in ASCII alone. Everything else is
// refused by name, most of it when parsing.
#pragma once

#include <cstdint>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "jinja/ast.h"
#include "jinja/text.h"
#include "jinja/value.h"

namespace tern::jinja {

/// What a rendering may cost before it ends with kResourceExhausted.
struct Limits {
  int64_t work = 1 << 27;    // about one per operation and per byte or item that one makes
  int64_t output = 1 << 25;  // bytes
};

struct Environment {
  std::map<std::string, Value> variables;
  std::optional<std::tm> now;  // strftime_now exists only with it
  Limits limits;
};

/// Thread rule: immutable, safe to share.
class Template {
 public:
  static constexpr size_t kMaxBytes = 1 << 20;

  /// Errors, each beginning with "line N: ": kCorrupt for what is no template, kUnsupported naming
  /// what is missing here, kResourceExhausted for more than kMaxBytes or deep nesting.
  static Result<Template> Parse(std::string_view source);

  /// Errors, each beginning with "line N: ": kInvalidArgument only for what the template itself
  /// raised by raise_exception, with its words; kUnsupported naming what is missing here; kCorrupt
  /// for what fails in Python too (an undefined value called or added, ...); kResourceExhausted.
  Result<Text> Render(const Environment& environment) const;

  /// True when an expression of the template has this name.
  bool Mentions(std::string_view name) const;

 private:
  explicit Template(Body body) : body_(std::make_shared<const Body>(std::move(body))) {}

  std::shared_ptr<const Body> body_;
};

}  // namespace tern::jinja
