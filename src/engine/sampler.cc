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

std::map<TokenId, int> Sampler::PenaltyCounts(std::span<const TokenId> history) const {
  std::map<TokenId, int> counts;
  if (!Penalizes()) return counts;
  const size_t window = std::min(history.size(), static_cast<size_t>(params_.repeat_last_n));
  for (const TokenId id : history.last(window)) ++counts[id];
  return counts;
}

float Sampler::Penalized(float logit, int count) const {
  logit = logit > 0 ? logit / params_.repeat_penalty : logit * params_.repeat_penalty;
  return logit - (params_.presence_penalty + params_.frequency_penalty * static_cast<float>(count));
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
    for (const auto& [id, count] : PenaltyCounts(history))
      if (id >= 0 && static_cast<size_t>(id) < edited.size())
        edited[static_cast<size_t>(id)] = Penalized(edited[static_cast<size_t>(id)], count);
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
  return Draw();
}

// From the candidates, best first.
TokenId Sampler::Draw() {
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

bool Sampler::TopMayDo() const {
  // Edits may only lower logits: then no token outside of the best can become one of them.
  const bool lowers =
      params_.repeat_penalty >= 1 && params_.presence_penalty >= 0 &&
      params_.frequency_penalty >= 0 &&
      std::all_of(bias_.begin(), bias_.end(), [](const auto& bias) { return bias.second <= 0; });
  return lowers && (params_.temperature == 0 || (params_.top_k > 0 && params_.top_k <= kTopLogits));
}

// Biases and penalties. What they lower to `floor` or below may be worse than a token not seen.
void Sampler::EditTop(float floor, std::span<const TokenId> history) {
  const auto counts = PenaltyCounts(history);
  if (bias_.empty() && counts.empty()) return;
  std::erase_if(candidates_, [&](Candidate& c) {
    const float before = c.logit;
    for (const auto& [id, bias] : bias_)
      if (id == c.id) c.logit += bias;
    if (const auto at = counts.find(c.id); at != counts.end())
      c.logit = Penalized(c.logit, at->second);
    return c.logit != before && !(c.logit > floor);
  });
  std::sort(candidates_.begin(), candidates_.end(), Better);
}

std::optional<TokenId> Sampler::SampleTop(const RankedLogits& top, size_t vocab,
                                          std::span<const TokenId> history,
                                          const SampleLimits& limits) {
  if (top.ids.empty() || !TopMayDo()) return std::nullopt;
  candidates_.clear();
  for (size_t i = 0; i < top.ids.size(); ++i) {
    const TokenId id = top.ids[i];
    const auto& banned = limits.banned;
    if (id < 0 || static_cast<size_t>(id) >= vocab || !(top.logits[i] > kNever) ||
        std::find(banned.begin(), banned.end(), id) != banned.end())
      continue;
    candidates_.push_back({id, top.logits[i], 0});
  }
  EditTop(top.logits.back(), history);
  const bool greedy = params_.temperature == 0;
  const auto wanted = std::min(vocab, greedy ? 1 : static_cast<size_t>(params_.top_k));
  size_t kept = 0;
  for (size_t i = 0; i < candidates_.size() && kept < wanted; ++i)
    if (limits.filter == nullptr || limits.filter->Allows(candidates_[i].id))
      candidates_[kept++] = candidates_[i];
  if (kept < wanted || kept == 0) return std::nullopt;
  candidates_.resize(kept);
  return greedy ? candidates_.front().id : Draw();
}

}  // namespace tern
