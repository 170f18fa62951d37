// The syntax tree that GBNF and JSON schemas become, before it is compiled.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"

namespace tern::grammar {

using ExprId = uint32_t;
using RuleId = uint32_t;
inline constexpr uint32_t kNone = UINT32_MAX;

/// Code points low..high, both included.
struct Range {
  char32_t low = 0, high = 0;
};
using Ranges = std::vector<Range>;

/// Sorted, disjoint, without surrogates and what is above U+10FFFF.
Ranges Normalized(Ranges ranges);
/// All scalar values that are not in `ranges` (normalized).
Ranges Complement(const Ranges& ranges);

enum class ExprKind : uint8_t {
  kBytes,     // literal UTF-8
  kClass,     // one character of `ranges` (normalized)
  kRule,      // a call
  kSequence,  // of items; none: the empty text
  kChoice,    // one of items
  kRepeat,    // items[0], min to max times; max kNone: no bound
  kMembers,   // a subsequence of the items with separators; see RuleSet::Members
};

struct Expr {
  ExprKind kind = ExprKind::kSequence;
  std::string bytes = {};
  Ranges ranges = {};
  RuleId rule = kNone;
  std::vector<ExprId> items = {};
  uint32_t min = 0, max = 0;
  std::vector<bool> required = {};  // kMembers: which items can't be left out
  ExprId separator = kNone;         // kMembers
  ExprId tail = kNone;              // kMembers: may follow the items, any number of times
};

struct Rule {
  std::string name;
  ExprId body = kNone;  // kNone: named, not defined
  bool keep = false;    // never inlined: many places share its states, and so its masks
};

/// An arena of expressions, which may share parts, and the rules by name. Building never fails; it
/// stops growing at limits.h's bounds and `Full` says so.
class RuleSet {
 public:
  ExprId Bytes(std::string_view bytes);
  ExprId Class(Ranges ranges);
  ExprId Call(RuleId rule);
  ExprId Call(std::string_view name) { return Call(Named(name)); }
  ExprId Sequence(std::vector<ExprId> items);
  ExprId Choice(std::vector<ExprId> items);
  ExprId Repeat(ExprId item, uint32_t min, uint32_t max = kNone);
  ExprId Optional(ExprId item) { return Repeat(item, 0, 1); }
  ExprId Empty() { return Sequence({}); }
  /// The items in their order, those that are not required perhaps left out, then any number of
  /// `tail` (kNone: none), with separators between what is there. Its automaton is linear in the
  /// number of items, which nested choices would not be.
  ExprId Members(std::vector<ExprId> items, std::vector<bool> required, ExprId separator,
                 ExprId tail);

  /// The rule of that name; it may be defined later.
  RuleId Named(std::string_view name);
  /// A rule with a name that no source can write.
  RuleId Unnamed(std::string_view about);
  void Define(RuleId rule, ExprId body) { rules_[rule].body = body; }
  void Keep(RuleId rule) { rules_[rule].keep = true; }
  void SetRoot(RuleId rule) { root_ = rule; }

  const Expr& expr(ExprId id) const { return exprs_[id]; }
  const std::vector<Expr>& exprs() const { return exprs_; }
  const std::vector<Rule>& rules() const { return rules_; }
  RuleId root() const { return root_; }
  bool Full() const { return full_; }

 private:
  ExprId Add(Expr expr);

  std::vector<Expr> exprs_;
  std::vector<Rule> rules_;
  std::unordered_map<std::string, RuleId> names_;
  RuleId root_ = kNone;
  bool full_ = false;
};

}  // namespace tern::grammar
