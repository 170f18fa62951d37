#include "perf/slowdown.h"

#include <algorithm>
#include <cmath>

#include "perf/statistics.h"

namespace tern {
namespace {

constexpr double kTwoSided95 = 1.96;
// xorshift64 (Marsaglia 2003): which times are kept needn't be better than even.
uint64_t NextRandom(uint64_t& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

}  // namespace

std::optional<double> UsualTimes::Ratio(uint64_t cell, double now, double seconds) {
  if (!(seconds > 0)) return std::nullopt;
  auto at = cells_.find(cell);
  if (at == cells_.end()) {
    if (cells_.size() >= kMostCells) return std::nullopt;
    at = cells_.emplace(cell, Cell{.since = now}).first;
  }
  Cell& kind = at->second;
  if (kind.usual > 0) return seconds / kind.usual;
  // Reservoir sampling: each time so far is among the drawn ones with the same chance.
  ++kind.seen;
  if (kind.drawn.size() < kLearned)
    kind.drawn.push_back(seconds);
  else if (const uint64_t place = NextRandom(random_) % kind.seen; place < kLearned)
    kind.drawn[place] = seconds;
  if (kind.drawn.size() == kLearned && now - kind.since >= learning_) {
    kind.usual = Median(kind.drawn);
    kind.drawn = {};
    ++learnt_;
  }
  return std::nullopt;
}

SlowdownEvidence EvidenceOf(const HistogramSnapshot& ratios) {
  SlowdownEvidence evidence{.count = ratios.count()};
  if (evidence.count == 0) return evidence;
  const auto n = static_cast<double>(evidence.count);
  const double width = kTwoSided95 * std::sqrt(n) / 2;
  evidence.ratio = ratios.Percentile(50);
  evidence.low = ratios.Percentile(std::max(0.0, (n / 2 - width) / n * 100));
  evidence.high = ratios.Percentile(std::min(100.0, (n / 2 + width + 1) / n * 100));
  return evidence;
}

std::string_view Name(SlowdownState state) {
  switch (state) {
    case SlowdownState::kUsual:
      return "usual";
    case SlowdownState::kSuspect:
      return "suspect";
    case SlowdownState::kSlow:
      return "slow";
    case SlowdownState::kRecovering:
      break;
  }
  return "recovering";
}

bool SlowdownWatch::Enter(SlowdownState state, double now) {
  const bool was_firing = firing();
  state_ = state;
  since_ = now;
  return firing() != was_firing;
}

bool SlowdownWatch::Observe(double now, const SlowdownEvidence& evidence) {
  const double limit = 1 + tolerance_;
  const bool enough = evidence.count >= kFewestRatios;
  const bool slower = enough && evidence.low > limit;
  const bool usual = enough && evidence.ratio <= limit;
  switch (state_) {
    case SlowdownState::kUsual:
      if (slower) {
        last_support_ = now;
        return Enter(SlowdownState::kSuspect, now);
      }
      break;
    case SlowdownState::kSuspect:
      if (usual || (!slower && now - last_support_ >= hold_))
        return Enter(SlowdownState::kUsual, now);
      if (slower) last_support_ = now;
      if (slower && now - since_ >= hold_) return Enter(SlowdownState::kSlow, now);
      break;
    case SlowdownState::kSlow:
      if (usual) return Enter(SlowdownState::kRecovering, now);
      break;
    case SlowdownState::kRecovering:
      if (slower) return Enter(SlowdownState::kSlow, now);
      if (usual && now - since_ >= hold_) return Enter(SlowdownState::kUsual, now);
      break;
  }
  return false;
}

}  // namespace tern
