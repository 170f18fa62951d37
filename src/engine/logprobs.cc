#include "engine/logprobs.h"

#include <algorithm>
#include <cmath>

namespace tern {

TokenEvent LogprobsOf(std::span<const float> logits, TokenId id, int top) {
  // Best first; a few, so insertion is enough.
  std::vector<TokenLogprob> best;
  const auto count = static_cast<size_t>(std::max(top, 1));
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) continue;
    if (best.size() == count && !(logits[i] > best.back().logprob)) continue;
    if (best.size() == count) best.pop_back();
    const auto at = std::find_if(best.begin(), best.end(), [&](const TokenLogprob& other) {
      return logits[i] > other.logprob;
    });
    best.insert(at, {static_cast<TokenId>(i), logits[i]});
  }
  if (best.empty()) return {id, 0, {}};

  const double largest = best.front().logprob;
  double sum = 0;
  for (const float logit : logits)
    if (!std::isnan(logit)) sum += std::exp(logit - largest);
  const double total = largest + std::log(sum);
  for (TokenLogprob& one : best) one.logprob = static_cast<float>(one.logprob - total);
  best.resize(std::min(best.size(), static_cast<size_t>(std::max(top, 0))));
  return {id, static_cast<float>(logits[static_cast<size_t>(id)] - total), std::move(best)};
}

}  // namespace tern
