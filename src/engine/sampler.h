// From logits to the next token.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "base/types.h"

namespace tern {

/// Names and defaults as in llama.cpp. Applied in the order: penalties, top-k, top-p, min-p,
/// temperature.
struct SamplingParams {
  float temperature = 0.8f;        // 0: greedy, the largest logit
  int top_k = 40;                  // 0: off
  float top_p = 0.95f;             // 1: off
  float min_p = 0.05f;             // 0: off
  float repeat_penalty = 1.0f;     // 1: off
  float presence_penalty = 0.0f;   // 0: off
  float frequency_penalty = 0.0f;  // 0: off
  int repeat_last_n = 64;          // tokens that the penalties look back on
  uint64_t seed = 0;
};

/// kInvalidArgument naming the parameter, what was found and what is allowed.
Status CheckSampling(const SamplingParams& params);

/// Owns one request's random state: the same seed, logits and history give the same tokens on every
/// machine. Thread rule: one request, one thread at a time.
class Sampler {
 public:
  explicit Sampler(const SamplingParams& params) : params_(params), rng_(params.seed) {}

  /// Picks an id in [0, logits.size()); equal logits are ordered by id. `history` holds the tokens
  /// so far, prompt included. Errors: kInternal when every logit is NaN.
  Result<TokenId> Sample(std::span<const float> logits, std::span<const TokenId> history);

 private:
  struct Candidate {
    TokenId id;
    float logit;
    double p;  // relative probability, once computed
  };

  void Penalize(std::span<float> logits, std::span<const TokenId> history) const;

  SamplingParams params_;
  Rng rng_;
  std::vector<float> penalized_;
  std::vector<Candidate> candidates_;
};

}  // namespace tern
