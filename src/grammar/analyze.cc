// What has to hold before rules can be compiled: all defined, all can end, none calls itself before
// it has read something.
#include <algorithm>
#include <string>

#include "grammar/limits.h"
#include "grammar/program.h"

namespace tern::grammar {
namespace {

class Analyzer {
 public:
  explicit Analyzer(const RuleSet& rules)
      : rules_(rules), can_end_(rules.rules().size()), nullable_(rules.rules().size()) {}

  Result<RuleFacts> Run() {
    if (rules_.root() == kNone)
      return Fail(Code::kInvalidArgument, "grammar: there is no rule 'root'");
    if (rules_.Full())
      return Fail(Code::kResourceExhausted, "grammar: more than {} rules or {} elements", kMaxRules,
                  kMaxExprs);
    TERN_TRY(Reach());
    TERN_TRY(FixedPoint(can_end_, &Analyzer::CanEnd));
    for (const RuleId rule : facts_.reachable)
      if (!can_end_[rule])
        return Fail(Code::kInvalidArgument, "grammar: the rule '{}' can never end", Name(rule));
    TERN_TRY(FixedPoint(nullable_, &Analyzer::Nullable));
    TERN_TRY(RefuseLeftRecursion());
    TERN_TRY(ChooseInlined());
    return std::move(facts_);
  }

 private:
  enum class Mark : uint8_t { kNew, kOpen, kDone };

  const std::string& Name(RuleId rule) const { return rules_.rules()[rule].name; }

  /// Direct parts of an expression, whatever they are for.
  template <class F>
  void ForParts(const Expr& expr, F&& f) const {
    for (const ExprId item : expr.items) f(item);
    if (expr.separator != kNone) f(expr.separator);
    if (expr.tail != kNone) f(expr.tail);
  }

  Status Reach() {
    std::vector<bool> seen(rules_.rules().size()), walked(rules_.exprs().size());
    std::vector<ExprId> open;
    const auto visit = [&](RuleId rule) {
      if (seen[rule]) return;
      seen[rule] = true;
      facts_.reachable.push_back(rule);
    };
    visit(rules_.root());
    for (size_t i = 0; i < facts_.reachable.size(); ++i) {
      const RuleId rule = facts_.reachable[i];
      const ExprId body = rules_.rules()[rule].body;
      if (body == kNone)
        return Fail(Code::kInvalidArgument, "grammar: the rule '{}' is used but not defined",
                    Name(rule));
      open.assign(1, body);
      while (!open.empty()) {
        const Expr& expr = rules_.expr(open.back());
        const ExprId id = open.back();
        open.pop_back();
        if (walked[id]) continue;
        walked[id] = true;
        if (expr.kind == ExprKind::kRule) visit(expr.rule);
        if ((expr.kind == ExprKind::kClass && expr.ranges.empty()) ||
            (expr.kind == ExprKind::kChoice && expr.items.empty()))
          return Fail(Code::kInvalidArgument, "grammar: in the rule '{}': no text matches a class",
                      Name(rule));
        ForParts(expr, [&](ExprId part) { open.push_back(part); });
      }
    }
    return {};
  }

  Status Spend() {
    if (++work_ <= kMaxWork) return {};
    return Fail(Code::kResourceExhausted, "grammar: takes more than {} steps to analyse", kMaxWork);
  }

  /// The least set of rules that `holds` makes out of itself.
  Status FixedPoint(std::vector<bool>& set, bool (Analyzer::*holds)(ExprId)) {
    for (bool changed = true; changed;) {
      changed = false;
      // Callees come behind their callers, mostly: backwards is the short way.
      for (auto rule = facts_.reachable.rbegin(); rule != facts_.reachable.rend(); ++rule) {
        if (set[*rule] || !(this->*holds)(rules_.rules()[*rule].body)) continue;
        set[*rule] = changed = true;
      }
      if (work_ > kMaxWork) return Spend();
    }
    return {};
  }

  bool CanEnd(ExprId id) {
    ++work_;
    if (work_ > kMaxWork) return false;
    const Expr& expr = rules_.expr(id);
    const auto holds = [this](ExprId item) { return CanEnd(item); };
    switch (expr.kind) {
      case ExprKind::kBytes:
        return true;
      case ExprKind::kClass:
        return !expr.ranges.empty();
      case ExprKind::kRule:
        return can_end_[expr.rule];
      case ExprKind::kChoice:
        return std::any_of(expr.items.begin(), expr.items.end(), holds);
      case ExprKind::kSequence:
        return std::all_of(expr.items.begin(), expr.items.end(), holds);
      case ExprKind::kRepeat:
        return expr.min == 0 || CanEnd(expr.items[0]);
      case ExprKind::kMembers:
        for (size_t i = 0; i < expr.items.size(); ++i)
          if (expr.required[i] && !CanEnd(expr.items[i])) return false;
        return true;
    }
    return false;
  }

  bool Nullable(ExprId id) {
    ++work_;
    if (work_ > kMaxWork) return false;
    const Expr& expr = rules_.expr(id);
    const auto holds = [this](ExprId item) { return Nullable(item); };
    switch (expr.kind) {
      case ExprKind::kBytes:
        return expr.bytes.empty();
      case ExprKind::kClass:
        return false;
      case ExprKind::kRule:
        return nullable_[expr.rule];
      case ExprKind::kChoice:
        return std::any_of(expr.items.begin(), expr.items.end(), holds);
      case ExprKind::kSequence:
        return std::all_of(expr.items.begin(), expr.items.end(), holds);
      case ExprKind::kRepeat:
        return expr.min == 0 || Nullable(expr.items[0]);
      case ExprKind::kMembers:
        for (size_t i = 0; i < expr.items.size(); ++i)
          if (expr.required[i] && !Nullable(expr.items[i])) return false;
        return true;
    }
    return false;
  }

  /// Rules that may be called before anything is read.
  void FirstCalls(ExprId id, std::vector<RuleId>& out) {
    if (++work_ > kMaxWork) return;
    const Expr& expr = rules_.expr(id);
    if (expr.kind == ExprKind::kRule) out.push_back(expr.rule);
    for (size_t i = 0; i < expr.items.size(); ++i) {
      FirstCalls(expr.items[i], out);
      if (expr.kind == ExprKind::kSequence && !Nullable(expr.items[i])) return;
    }
    // Members: an item that can be empty is followed by a separator, and that by the next.
    if (expr.kind == ExprKind::kMembers) {
      FirstCalls(expr.separator, out);
      if (expr.tail != kNone) FirstCalls(expr.tail, out);
    }
  }

  Status RefuseLeftRecursion() {
    struct Frame {
      RuleId rule;
      size_t next = 0;
      std::vector<RuleId> calls = {};
    };
    std::vector<Mark> marks(rules_.rules().size(), Mark::kNew);
    std::vector<uint32_t> height(rules_.rules().size(), 1);
    for (const RuleId start : facts_.reachable) {
      if (marks[start] != Mark::kNew) continue;
      std::vector<Frame> path;
      const auto enter = [&](RuleId rule) {
        marks[rule] = Mark::kOpen;
        path.push_back({rule});
        FirstCalls(rules_.rules()[rule].body, path.back().calls);
      };
      enter(start);
      while (!path.empty()) {
        TERN_TRY(Spend());
        Frame& top = path.back();
        if (top.next == top.calls.size()) {
          marks[top.rule] = Mark::kDone;
          for (const RuleId called : top.calls)
            height[top.rule] = std::max(height[top.rule], height[called] + 1);
          facts_.calls_per_byte = std::max(facts_.calls_per_byte, height[top.rule] + 1);
          path.pop_back();
          continue;
        }
        const RuleId called = top.calls[top.next++];
        if (marks[called] == Mark::kOpen) {
          std::string cycle = Name(called);
          size_t at = path.size();
          while (path[at - 1].rule != called) --at;
          for (; at < path.size(); ++at) cycle += " -> " + Name(path[at].rule);
          return Fail(Code::kInvalidArgument,
                      "grammar: left recursion: {} -> {}; write it as a repetition", cycle,
                      Name(called));
        }
        if (marks[called] == Mark::kNew) enter(called);
      }
    }
    return {};
  }

  /// About the states that an expression takes with its calls inlined; more than kInlineNodes where
  /// it loops or recurs. Saturates. Each level of nesting counts, so what is inlined is never deep.
  uint32_t Size(ExprId id) {
    constexpr uint32_t kTooBig = kInlineNodes + 1;
    if (++work_ > kMaxWork) return kTooBig;
    const Expr& expr = rules_.expr(id);
    uint32_t sum = 1;
    switch (expr.kind) {
      case ExprKind::kBytes:
        return static_cast<uint32_t>(std::min<size_t>(expr.bytes.size(), kTooBig));
      case ExprKind::kClass:
        return expr.ranges.empty() || expr.ranges.back().high < 0x80 ? 1 : 8;
      case ExprKind::kRule:
        return std::min(kTooBig, 1 + SizeOfRule(expr.rule));
      case ExprKind::kMembers:
        return kTooBig;
      case ExprKind::kRepeat:
        if (expr.max == kNone) return kTooBig;
        sum = 1 + Size(expr.items[0]);
        return expr.max > kTooBig ? kTooBig : std::min(kTooBig, sum * expr.max);
      case ExprKind::kSequence:
      case ExprKind::kChoice:
        for (const ExprId item : expr.items) {
          sum += Size(item);
          if (sum >= kTooBig) return kTooBig;
        }
    }
    return sum;
  }

  uint32_t SizeOfRule(RuleId rule) {
    if (rules_.rules()[rule].keep) return kInlineNodes + 1;
    if (size_marks_[rule] == Mark::kDone) return sizes_[rule];
    // Open: recursion. Too deep a chain of calls counts as big, so that this function needs no
    // more stack than that.
    if (size_marks_[rule] == Mark::kOpen || size_depth_ > 8) return kInlineNodes + 1;
    size_marks_[rule] = Mark::kOpen;
    ++size_depth_;
    sizes_[rule] = Size(rules_.rules()[rule].body);
    --size_depth_;
    size_marks_[rule] = Mark::kDone;
    return sizes_[rule];
  }

  Status ChooseInlined() {
    const size_t count = rules_.rules().size();
    size_marks_.assign(count, Mark::kNew);
    sizes_.assign(count, 0);
    facts_.inlined.assign(count, false);
    for (const RuleId rule : facts_.reachable)
      facts_.inlined[rule] = SizeOfRule(rule) <= kInlineNodes;
    return work_ > kMaxWork ? Spend() : Status();
  }

  const RuleSet& rules_;
  RuleFacts facts_;
  std::vector<bool> can_end_, nullable_;
  std::vector<Mark> size_marks_;
  std::vector<uint32_t> sizes_;
  int size_depth_ = 0;
  uint64_t work_ = 0;
};

}  // namespace

Result<RuleFacts> Analyze(const RuleSet& rules) { return Analyzer(rules).Run(); }

}  // namespace tern::grammar
