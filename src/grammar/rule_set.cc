#include "grammar/rule_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "grammar/limits.h"

namespace tern::grammar {
namespace {

constexpr char32_t kLast = 0x10ffff;
constexpr char32_t kBeforeSurrogates = 0xd7ff, kAfterSurrogates = 0xe000;

}  // namespace

Ranges Normalized(Ranges ranges) {
  Ranges cut;
  for (Range range : ranges) {
    range.high = std::min(range.high, kLast);
    if (range.low > range.high) continue;
    if (range.low <= kBeforeSurrogates)
      cut.push_back({range.low, std::min(range.high, kBeforeSurrogates)});
    if (range.high >= kAfterSurrogates)
      cut.push_back({std::max(range.low, kAfterSurrogates), range.high});
  }
  std::sort(cut.begin(), cut.end(), [](Range a, Range b) { return a.low < b.low; });
  Ranges out;
  for (const Range range : cut) {
    if (!out.empty() && range.low <= out.back().high + 1) {
      out.back().high = std::max(out.back().high, range.high);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

Ranges Complement(const Ranges& ranges) {
  Ranges out;
  char32_t low = 0;
  for (const Range range : ranges) {
    if (range.low > low) out.push_back({low, range.low - 1});
    low = range.high + 1;
  }
  if (low <= kLast) out.push_back({low, kLast});
  return Normalized(std::move(out));
}

ExprId RuleSet::Add(Expr expr) {
  if (exprs_.size() >= kMaxExprs) {
    full_ = true;
    return 0;
  }
  exprs_.push_back(std::move(expr));
  return static_cast<ExprId>(exprs_.size() - 1);
}

ExprId RuleSet::Bytes(std::string_view bytes) {
  return Add({.kind = ExprKind::kBytes, .bytes = std::string(bytes)});
}

ExprId RuleSet::Class(Ranges ranges) {
  return Add({.kind = ExprKind::kClass, .ranges = Normalized(std::move(ranges))});
}

ExprId RuleSet::Call(RuleId rule) { return Add({.kind = ExprKind::kRule, .rule = rule}); }

ExprId RuleSet::Sequence(std::vector<ExprId> items) {
  if (items.size() == 1) return items[0];
  return Add({.kind = ExprKind::kSequence, .items = std::move(items)});
}

ExprId RuleSet::Choice(std::vector<ExprId> items) {
  if (items.size() == 1) return items[0];
  return Add({.kind = ExprKind::kChoice, .items = std::move(items)});
}

ExprId RuleSet::Repeat(ExprId item, uint32_t min, uint32_t max) {
  return Add({.kind = ExprKind::kRepeat, .items = {item}, .min = min, .max = max});
}

ExprId RuleSet::Members(std::vector<ExprId> items, std::vector<bool> required, ExprId separator,
                        ExprId tail) {
  return Add({.kind = ExprKind::kMembers,
              .items = std::move(items),
              .required = std::move(required),
              .separator = separator,
              .tail = tail});
}

RuleId RuleSet::Named(std::string_view name) {
  const auto [entry, fresh] =
      names_.try_emplace(std::string(name), static_cast<RuleId>(rules_.size()));
  if (!fresh) return entry->second;
  if (rules_.size() >= kMaxRules) {
    full_ = true;
    entry->second = 0;
    return 0;
  }
  rules_.push_back({std::string(name)});
  return entry->second;
}

RuleId RuleSet::Unnamed(std::string_view about) {
  return Named(fmt::format("{} #{}", about, rules_.size()));
}

}  // namespace tern::grammar
