// From logits to the next token.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "base/types.h"
#include "model/executor.h"

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

/// Which tokens may come next: a grammar, for one.
class TokenFilter {
 public:
  virtual ~TokenFilter() = default;
  virtual bool Allows(TokenId id) const = 0;
  /// Sets the logits of tokens that may not come to -infinity.
  virtual void Mask(std::span<float> logits) const = 0;
};

/// Added to a token's logit; -infinity bans it.
using LogitBias = std::vector<std::pair<TokenId, float>>;

/// What holds for one draw beside the parameters.
struct SampleLimits {
  std::span<const TokenId> banned = {};
  const TokenFilter* filter = nullptr;
};

/// Owns one request's random state: the same seed, logits and history give the same tokens on every
/// machine. Bans and biases come first, then the filter, penalties and the rest. Thread rule: one
/// request, one thread at a time.
class Sampler {
 public:
  explicit Sampler(const SamplingParams& params, LogitBias bias = {})
      : params_(params), bias_(std::move(bias)), rng_(params.seed) {}

  /// Picks an id in [0, logits.size()); equal logits are ordered by id, NaN is never picked.
  /// `history` holds the tokens so far, prompt included. A greedy draw asks the filter about its
  /// best token first, and for the whole mask only when that one may not come. Errors: kInternal
  /// when no token is left.
  Result<TokenId> Sample(std::span<const float> logits, std::span<const TokenId> history,
                         const SampleLimits& limits = {});

  /// The same draw from the best logits of a row of `vocab`; nothing, and no draw, when those
  /// aren't enough to know it.
  std::optional<TokenId> SampleTop(const RankedLogits& top, size_t vocab,
                                   std::span<const TokenId> history,
                                   const SampleLimits& limits = {});
  /// Whether SampleTop has a chance.
  bool TopMayDo() const;

 private:
  struct Candidate {
    TokenId id;
    float logit;
    double p;  // relative probability, once computed
  };

  static bool Better(const Candidate& a, const Candidate& b);
  bool Penalizes() const;
  std::map<TokenId, int> PenaltyCounts(std::span<const TokenId> history) const;
  float Penalized(float logit, int count) const;
  void EditTop(float floor, std::span<const TokenId> history);
  TokenId Draw();
  std::span<float> Edit(std::span<const float> logits);
  void SelectBest(std::span<const float> logits, size_t count);

  SamplingParams params_;
  LogitBias bias_;
  Rng rng_;
  std::vector<float> edited_;  // a copy of the logits, where they have to change
  std::vector<Candidate> candidates_;
};

}  // namespace tern
