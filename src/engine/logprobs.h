// How likely a token was.
#pragma once

#include <span>
#include <vector>

#include "base/types.h"

namespace tern {

struct TokenLogprob {
  TokenId id = 0;
  float logprob = 0;  // ln p
};

/// A token that was drawn.
struct TokenEvent {
  TokenId id = 0;
  float logprob = 0;
  std::vector<TokenLogprob> top = {};  // the most likely ones, in falling order
};

inline constexpr int kMaxTopLogprobs = 20;

/// The softmax of the model's own logits, before penalties, temperature and the rest, at `id` and
/// at the `top` most likely tokens (of equals the lower id first). NaN counts as -infinity.
TokenEvent LogprobsOf(std::span<const float> logits, TokenId id, int top);

}  // namespace tern
