#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

namespace tern {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

Status CheckRange(std::string_view name, double value, double low, double high) {
  if (value >= low && value <= high) return {};
  return Fail(Code::kInvalidArgument, "{}: found {}, expected {} to {}", name, value, low, high);
}

// Calls take(i) for every logit above `bound`, which take may raise, in order; never for NaN. Few
// are, so they are looked at many at a time first: without a branch, the compiler compares vectors.
template <class Take>
void ForEachAbove(std::span<const float> logits, const float& bound, Take take) {
  constexpr size_t kAtATime = 64;
  for (size_t first = 0; first < logits.size(); first += kAtATime) {
    const auto some = logits.subspan(first, std::min(kAtATime, logits.size() - first));
    int above = 0;
    for (const float logit : some) above |= logit > bound;
    for (size_t i = 0; above && i < some.size(); ++i)
      if (some[i] > bound) take(first + i);
  }
}

// The first of the largest; nothing when no token has a chance.
std::optional<TokenId> Best(std::span<const float> logits) {
  std::optional<TokenId> best;
  float largest = kNever;
  ForEachAbove(logits, largest, [&](size_t i) {
    largest = logits[i];
    best = static_cast<TokenId>(i);
  });
  return best;
}

}  // namespace

Status CheckSampling(const SamplingParams& p) {
  TERN_TRY(CheckRange("temperature", p.temperature, 0, 100));
  TERN_TRY(CheckRange("top_k", p.top_k, 0, std::numeric_limits<int>::max()));
  TERN_TRY(CheckRange("top_p", p.top_p, 0, 1));
  TERN_TRY(CheckRange("min_p", p.min_p, 0, 1));
  TERN_TRY(CheckRange("repeat_penalty", p.repeat_penalty, 0.01, 100));
  TERN_TRY(CheckRange("presence_penalty", p.presence_penalty, -100, 100));
  TERN_TRY(CheckRange("frequency_penalty", p.frequency_penalty, -100, 100));
  return CheckRange("repeat_last_n", p.repeat_last_n, 0, std::numeric_limits<int>::max());
}

void Sampler::Penalize(std::span<float> logits, std::span<const TokenId> history) const {
  const size_t window = std::min(history.size(), static_cast<size_t>(params_.repeat_last_n));
  std::map<TokenId, int> counts;
  for (const TokenId id : history.last(window)) ++counts[id];
  for (const auto& [id, count] : counts) {
    if (id < 0 || static_cast<size_t>(id) >= logits.size()) continue;
    float& logit = logits[static_cast<size_t>(id)];
    logit = logit > 0 ? logit / params_.repeat_penalty : logit * params_.repeat_penalty;
    logit -= params_.presence_penalty + params_.frequency_penalty * static_cast<float>(count);
  }
}

bool Sampler::Penalizes() const {
  return params_.repeat_penalty != 1 || params_.presence_penalty != 0 ||
         params_.frequency_penalty != 0;
}

bool Sampler::Better(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

std::span<float> Sampler::Edit(std::span<const float> logits) {
  if (logits.data() != edited_.data()) edited_.assign(logits.begin(), logits.end());
  return edited_;
}

// The best `count` candidates, best first. As many again are gathered before the worse half goes:
// most logits are not looked at twice.
void Sampler::SelectBest(std::span<const float> logits, size_t count) {
  const auto drop_worse = [&] {
    const auto last = candidates_.begin() + static_cast<ptrdiff_t>(count) - 1;
    std::nth_element(candidates_.begin(), last, candidates_.end(), Better);
    candidates_.resize(count);
    return candidates_.back().logit;
  };
  candidates_.clear();
  float worst = kNever;
  ForEachAbove(logits, worst, [&](size_t i) {  // of equals the first stays
    candidates_.push_back({static_cast<TokenId>(i), logits[i], 0});
    if (candidates_.size() == 2 * count) worst = drop_worse();
  });
  if (candidates_.size() > count) drop_worse();
  std::sort(candidates_.begin(), candidates_.end(), Better);
}

Result<TokenId> Sampler::Sample(std::span<const float> logits, std::span<const TokenId> history,
                                const SampleLimits& limits) {
  if (!bias_.empty() || !limits.banned.empty()) {
    const std::span<float> edited = Edit(logits);
    for (const auto& [id, bias] : bias_) edited[static_cast<size_t>(id)] += bias;
    for (const TokenId id : limits.banned) edited[static_cast<size_t>(id)] = kNever;
    logits = edited;
  }
  if (Penalizes()) {
    const std::span<float> edited = Edit(logits);
    Penalize(edited, history);
    logits = edited;
  }
  const auto mask = [&] {
    const std::span<float> edited = Edit(logits);
    limits.filter->Mask(edited);
    logits = edited;
  };
  const auto none = [] { return Fail(Code::kInternal, "no token has a finite logit"); };
  if (params_.temperature == 0) {
    auto greedy = Best(logits);
    if (greedy && limits.filter != nullptr && !limits.filter->Allows(*greedy)) {
      mask();
      greedy = Best(logits);
    }
    if (!greedy) return none();
    return *greedy;
  }

  if (limits.filter != nullptr) mask();
  const auto all = logits.size();
  SelectBest(logits, params_.top_k > 0 ? std::min(all, static_cast<size_t>(params_.top_k)) : all);
  if (candidates_.empty()) return none();
  if (std::isinf(candidates_.front().logit)) return candidates_.front().id;
  const double top = candidates_.front().logit;
  double total = 0;
  for (Candidate& c : candidates_) total += c.p = std::exp(c.logit - top);
  double reached = 0;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    // At least one stays: the first candidate is kept whatever top_p and min_p say.
    if (i > 0 && (reached >= params_.top_p * total || candidates_[i].p < params_.min_p)) {
      candidates_.resize(i);
      break;
    }
    reached += candidates_[i].p;
  }

  total = 0;
  for (Candidate& c : candidates_) total += c.p = std::exp((c.logit - top) / params_.temperature);
  double left = rng_.NextUnit() * total;
  for (const Candidate& c : candidates_) {
    left -= c.p;
    if (left < 0) return c.id;
  }
  return candidates_.back().id;
}

}  // namespace tern
