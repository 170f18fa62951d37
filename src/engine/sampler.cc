#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace tern {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

Status CheckRange(std::string_view name, double value, double low, double high) {
  if (value >= low && value <= high) return {};
  return Fail(Code::kInvalidArgument, "{}: found {}, expected {} to {}", name, value, low, high);
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

Result<TokenId> Sampler::Sample(std::span<const float> logits, std::span<const TokenId> history) {
  penalized_.assign(logits.begin(), logits.end());
  for (float& logit : penalized_)
    if (std::isnan(logit)) logit = kNever;
  if (params_.repeat_penalty != 1 || params_.presence_penalty != 0 ||
      params_.frequency_penalty != 0)
    Penalize(penalized_, history);

  const auto largest = std::max_element(penalized_.begin(), penalized_.end());
  if (largest == penalized_.end() || *largest == kNever)
    return Fail(Code::kInternal, "no token has a finite logit");
  const auto greedy = static_cast<TokenId>(largest - penalized_.begin());
  if (params_.temperature == 0 || std::isinf(*largest)) return greedy;

  candidates_.clear();
  for (size_t i = 0; i < penalized_.size(); ++i)
    if (penalized_[i] != kNever) candidates_.push_back({static_cast<TokenId>(i), penalized_[i], 0});
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  size_t keep = candidates_.size();
  if (params_.top_k > 0) keep = std::min(keep, static_cast<size_t>(params_.top_k));
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(keep),
                    candidates_.end(), better);
  candidates_.resize(keep);

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
