#include "grammar/nfa.h"

#include <array>
#include <string>

#include "grammar/limits.h"
#include "tokenizer/utf8.h"

namespace tern::grammar {
namespace {

struct Bytes {
  std::array<uint8_t, 4> at = {};
  size_t size = 0;
};

Bytes Spell(char32_t c) {
  std::string text;
  AppendUtf8(c, text);
  Bytes out;
  out.size = text.size();
  for (size_t i = 0; i < text.size(); ++i) out.at[i] = static_cast<uint8_t>(text[i]);
  return out;
}

class Builder {
 public:
  Builder(const RuleSet& rules, const RuleFacts& facts, size_t& budget)
      : rules_(rules), facts_(facts), budget_(budget) {}

  Result<Nfa> Run(RuleId rule) {
    New();
    New();
    Build(rules_.rules()[rule].body, 0, 1);
    if (budget_ == 0)
      return Fail(Code::kResourceExhausted,
                  "grammar: its automata take more than {} states; look for large repetition "
                  "counts",
                  kMaxNodes);
    return std::move(nfa_);
  }

 private:
  uint32_t New() {
    if (budget_ > 0) --budget_;
    if (budget_ > 0 || nfa_.nodes.size() < 2) nfa_.nodes.emplace_back();
    return static_cast<uint32_t>(nfa_.nodes.size() - 1);
  }
  NfaNode& Node(uint32_t node) { return nfa_.nodes[node]; }

  void Build(ExprId id, uint32_t from, uint32_t to) {
    if (budget_ == 0) return;
    const Expr& expr = rules_.expr(id);
    switch (expr.kind) {
      case ExprKind::kBytes:
        return BuildBytes(expr, from, to);
      case ExprKind::kClass:
        for (const Range range : expr.ranges) BuildRange(range, from, to);
        return;
      case ExprKind::kRule:
        if (facts_.inlined[expr.rule]) return Build(rules_.rules()[expr.rule].body, from, to);
        Node(from).calls.push_back({expr.rule, to});
        return;
      case ExprKind::kSequence:
        for (const ExprId item : expr.items) {
          const uint32_t next = New();
          Build(item, from, next);
          from = next;
        }
        Node(from).empty.push_back(to);
        return;
      case ExprKind::kChoice:
        // A node of its own for each: loops inside an item must not lead into its neighbours.
        for (const ExprId item : expr.items) {
          const uint32_t begin = New();
          Node(from).empty.push_back(begin);
          Build(item, begin, to);
          if (budget_ == 0) return;
        }
        return;
      case ExprKind::kRepeat:
        return BuildRepeat(expr, from, to);
      case ExprKind::kMembers:
        return BuildMembers(expr, from, to);
    }
  }

  void BuildBytes(const Expr& expr, uint32_t from, uint32_t to) {
    for (const char c : expr.bytes) {
      const auto byte = static_cast<uint8_t>(c);
      const uint32_t next = New();
      Node(from).bytes.push_back({byte, byte, next});
      from = next;
    }
    Node(from).empty.push_back(to);
  }

  void BuildRepeat(const Expr& expr, uint32_t from, uint32_t to) {
    for (uint32_t i = 0; i < expr.min && budget_ > 0; ++i) {
      const uint32_t next = New();
      Build(expr.items[0], from, next);
      from = next;
    }
    if (expr.max == kNone) {
      const uint32_t loop = New();
      Node(from).empty.push_back(loop);
      const uint32_t back = New();
      Build(expr.items[0], loop, back);
      Node(back).empty.push_back(loop);
      Node(loop).empty.push_back(to);
      return;
    }
    for (uint32_t i = expr.min; i < expr.max && budget_ > 0; ++i) {
      Node(from).empty.push_back(to);
      const uint32_t begin = New(), next = New();
      Node(from).empty.push_back(begin);
      Build(expr.items[0], begin, next);
      from = next;
    }
    Node(from).empty.push_back(to);
  }

  /// Two chains side by side: nothing written yet, and something written, where the next item needs
  /// a separator.
  void BuildMembers(const Expr& expr, uint32_t from, uint32_t to) {
    uint32_t none = New(), some = New();
    Node(from).empty.push_back(none);
    bool none_possible = true;
    for (size_t i = 0; i < expr.items.size() && budget_ > 0; ++i) {
      const uint32_t next_none = New(), next_some = New(), separated = New();
      Build(expr.separator, some, separated);
      Build(expr.items[i], separated, next_some);
      if (none_possible) Build(expr.items[i], none, next_some);
      if (!expr.required[i]) {
        Node(some).empty.push_back(next_some);
        Node(none).empty.push_back(next_none);
      } else {
        none_possible = false;
      }
      none = next_none;
      some = next_some;
    }
    if (none_possible) Node(none).empty.push_back(to);
    if (expr.tail != kNone) {
      const uint32_t separated = New(), after = New();
      if (none_possible) Build(expr.tail, none, after);
      Build(expr.separator, some, separated);
      Build(expr.tail, separated, after);
      Node(after).empty.push_back(some);
    }
    Node(some).empty.push_back(to);
  }

  /// All characters of a range that lie between the same two borders of encoded length, split until
  /// every byte but the first that differs runs through all of its continuation values.
  void BuildRange(Range range, uint32_t from, uint32_t to) {
    for (const char32_t border : {U'\x7f', U'\x7ff', U'\xffff'}) {
      if (range.low <= border && border < range.high) {
        BuildRange({range.low, border}, from, to);
        BuildRange({border + 1, range.high}, from, to);
        return;
      }
    }
    for (int bytes = 1; bytes < 4 && range.high > 0x7f; ++bytes) {
      const char32_t tail = (char32_t{1} << (6 * bytes)) - 1;  // what the last `bytes` bytes say
      if ((range.low & ~tail) == (range.high & ~tail)) continue;
      if ((range.low & tail) != 0) {
        BuildRange({range.low, range.low | tail}, from, to);
        BuildRange({(range.low | tail) + 1, range.high}, from, to);
        return;
      }
      if ((range.high & tail) != tail) {
        BuildRange({range.low, (range.high & ~tail) - 1}, from, to);
        BuildRange({range.high & ~tail, range.high}, from, to);
        return;
      }
    }
    const Bytes low = Spell(range.low), high = Spell(range.high);
    for (size_t i = 0; i < low.size; ++i) {
      const uint32_t next = i + 1 == low.size ? to : New();
      Node(from).bytes.push_back({low.at[i], high.at[i], next});
      from = next;
    }
  }

  const RuleSet& rules_;
  const RuleFacts& facts_;
  size_t& budget_;
  Nfa nfa_;
};

}  // namespace

Result<Nfa> BuildNfa(const RuleSet& rules, const RuleFacts& facts, RuleId rule, size_t& budget) {
  return Builder(rules, facts, budget).Run(rule);
}

}  // namespace tern::grammar
