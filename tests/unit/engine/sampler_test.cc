#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "support/ranking_executor.h"

namespace tern {
namespace {

const std::vector<float> kLogits = {0.0f, 2.0f, 1.0f, -1.0f, 2.0f};

TokenId Pick(SamplingParams params, std::span<const float> logits,
             std::span<const TokenId> history = {}) {
  const auto id = Sampler(params).Sample(logits, history);
  EXPECT_TRUE(id);
  return id.value_or(-1);
}

std::map<TokenId, int> Draw(SamplingParams params, int times) {
  std::map<TokenId, int> counts;
  Sampler sampler(params);
  for (int i = 0; i < times; ++i) ++counts[*sampler.Sample(kLogits, {})];
  return counts;
}

TEST(Sampler, GreedyTakesTheLargestAndTheLowestIdOfEquals) {
  EXPECT_EQ(Pick({.temperature = 0}, kLogits), 1);
}

TEST(Sampler, SameSeedSameTokensOtherSeedOthers) {
  const auto run = [](uint64_t seed) {
    Sampler sampler({.temperature = 2, .top_k = 0, .top_p = 1, .min_p = 0, .seed = seed});
    std::vector<TokenId> ids;
    for (int i = 0; i < 50; ++i) ids.push_back(*sampler.Sample(kLogits, {}));
    return ids;
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

// Oracle: the softmax itself; 5 standard deviations of a binomial.
TEST(Sampler, FrequenciesFollowTheSoftmaxAtItsTemperature) {
  constexpr int kTimes = 40000;
  const float temperature = 1.5f;
  const auto counts =
      Draw({.temperature = temperature, .top_k = 0, .top_p = 1, .min_p = 0, .seed = 3}, kTimes);
  double total = 0;
  for (const float l : kLogits) total += std::exp(l / temperature);
  for (size_t i = 0; i < kLogits.size(); ++i) {
    const double p = std::exp(kLogits[i] / temperature) / total;
    EXPECT_NEAR(counts.at(static_cast<TokenId>(i)), p * kTimes,
                5 * std::sqrt(kTimes * p * (1 - p)));
  }
}

TEST(Sampler, TopKTopPAndMinPCutTheTail) {
  const SamplingParams open = {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .seed = 1};
  SamplingParams k = open, p = open, m = open;
  k.top_k = 2;
  p.top_p = 0.5f;  // the two equal tops hold 0.73 of the mass; the first alone 0.37
  m.min_p = 0.3f;  // e^-1 = 0.37 stays, e^-2 = 0.14 goes
  EXPECT_EQ(Draw(k, 2000).size(), 2u);
  EXPECT_EQ(Draw(p, 2000).size(), 2u);
  EXPECT_EQ(Draw(m, 2000).size(), 3u);
  EXPECT_EQ(Draw(open, 2000).size(), 5u);
}

TEST(Sampler, PenaltiesLookAtTheHistory) {
  const std::vector<TokenId> history = {1, 1, 4};
  EXPECT_EQ(Pick({.temperature = 0, .repeat_penalty = 3}, kLogits, history), 2);
  EXPECT_EQ(Pick({.temperature = 0, .presence_penalty = 0.5f}, kLogits, history), 1);
  EXPECT_EQ(Pick({.temperature = 0, .frequency_penalty = 0.6f}, kLogits, history), 4);
  EXPECT_EQ(Pick({.temperature = 0, .repeat_penalty = 3, .repeat_last_n = 1}, kLogits, history), 1);
}

TEST(Sampler, NanIsNeverPickedAndAllNanIsAnError) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(Pick({.temperature = 0}, std::vector<float>{nan, 1.0f}), 1);
  EXPECT_FALSE(Sampler({}).Sample(std::vector<float>{nan, nan}, {}));
}

TEST(Sampler, BiasAndBansComeBeforeAllElse) {
  const SamplingParams greedy = {.temperature = 0};
  EXPECT_EQ(*Sampler(greedy, {{3, 10.0f}}).Sample(kLogits, {}), 3);
  const float never = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(*Sampler(greedy, {{1, never}}).Sample(kLogits, {}), 4);
  const std::vector<TokenId> banned = {1, 4};
  EXPECT_EQ(*Sampler(greedy).Sample(kLogits, {}, {.banned = banned}), 2);
}

// Allows what is in the set, and counts how often it is asked for everything.
class SetFilter final : public TokenFilter {
 public:
  explicit SetFilter(std::vector<bool> allowed) : allowed_(std::move(allowed)) {}
  bool Allows(TokenId id) const override { return allowed_[static_cast<size_t>(id)]; }
  void Mask(std::span<float> logits) const override {
    ++masks;
    for (size_t i = 0; i < logits.size(); ++i)
      if (!allowed_[i]) logits[i] = -std::numeric_limits<float>::infinity();
  }
  mutable int masks = 0;

 private:
  std::vector<bool> allowed_;
};

TEST(Sampler, AFilterIsAskedForTheMaskOnlyWhenItMatters) {
  Sampler greedy({.temperature = 0});
  const SetFilter best({false, true, false, true, false}), other({true, false, false, true, false});
  EXPECT_EQ(*greedy.Sample(kLogits, {}, {.filter = &best}), 1);
  EXPECT_EQ(best.masks, 0);
  EXPECT_EQ(*greedy.Sample(kLogits, {}, {.filter = &other}), 0);
  EXPECT_EQ(other.masks, 1);
  Sampler drawing({.temperature = 5, .top_k = 0, .top_p = 1, .min_p = 0, .seed = 1});
  for (int i = 0; i < 200; ++i) {
    const auto id = drawing.Sample(kLogits, {}, {.filter = &other});
    ASSERT_TRUE(id);
    EXPECT_TRUE(other.Allows(*id));
  }
  const SetFilter none(std::vector<bool>(5, false));
  EXPECT_FALSE(greedy.Sample(kLogits, {}, {.filter = &none}));
}

// Oracle: sorting everything. With the k best alone, the distribution is that of the same logits
// where all others are banned.
TEST(Sampler, TheKBestAreThoseOfAFullSort) {
  Rng random(9);
  for (int round = 0; round < 50; ++round) {
    std::vector<float> logits(200);
    for (float& logit : logits) logit = static_cast<float>(random.Next() % 40);  // many equals
    std::vector<TokenId> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](TokenId a, TokenId b) {
      return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
    });
    const int k = 1 + static_cast<int>(random.Next() % 30);
    const std::span<const TokenId> others = std::span(order).subspan(static_cast<size_t>(k));
    SamplingParams few = {
        .temperature = 3, .top_k = k, .top_p = 1, .min_p = 0, .seed = random.Next()};
    SamplingParams all = few;
    all.top_k = 0;
    Sampler a(few), b(all);
    for (int i = 0; i < 20; ++i)
      EXPECT_EQ(*a.Sample(logits, {}), *b.Sample(logits, {}, {.banned = others}));
  }
}

TEST(CheckSampling, NamesWhatIsOutOfRange) {
  EXPECT_TRUE(CheckSampling({}));
  const auto status = CheckSampling({.top_p = 1.5f});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "top_p: found 1.5, expected 0 to 1");
  EXPECT_FALSE(CheckSampling({.temperature = -1}));
  EXPECT_FALSE(CheckSampling({.temperature = std::numeric_limits<float>::quiet_NaN()}));
}

class EvenOnly final : public TokenFilter {
 public:
  bool Allows(TokenId id) const override { return id % 2 == 0; }
  void Mask(std::span<float> logits) const override {
    for (size_t i = 1; i < logits.size(); i += 2)
      logits[i] = -std::numeric_limits<float>::infinity();
  }
};

// Oracle: the draw from all logits. Coarse logits, so that many are equal; padding behind the
// vocabulary; whatever edits them.
TEST(Sampler, TheBestLogitsGiveTheSameDrawOrNone) {
  constexpr size_t kVocab = 190;
  constexpr int kTrials = 20000;
  Rng rng(8);
  const auto chance = [&rng](uint64_t one_in) { return rng.Next() % one_in == 0; };
  const auto token = [&rng] { return static_cast<TokenId>(rng.Next() % 220); };
  const EvenOnly filter;
  int drawn = 0, undecided = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<float> logits(kVocab + 10);
    const uint64_t steps = chance(2) ? 30 : 3000;
    for (float& logit : logits) logit = static_cast<float>(rng.Next() % steps) / 10 - 1;
    if (chance(4)) logits[rng.Next() % kVocab] = std::numeric_limits<float>::quiet_NaN();
    if (chance(9)) logits[rng.Next() % kVocab] = std::numeric_limits<float>::infinity();
    const test::SortedTop top(logits, chance(2) ? 64 : 12);
    SamplingParams params{.temperature = chance(2) ? 0.0f : 1.0f,
                          .top_k = static_cast<int>(rng.Next() % 20),
                          .seed = rng.Next()};
    if (chance(3)) params.repeat_penalty = chance(4) ? 0.7f : 1.3f;
    if (chance(3)) params.presence_penalty = chance(4) ? -0.5f : 0.5f;
    if (chance(3)) params.frequency_penalty = 0.25f;
    LogitBias bias;
    if (chance(3)) bias = {{token() % 190, -3.0f}, {top.ids[0] % 190, -100.0f}};
    if (chance(9)) bias.emplace_back(token() % 190, 5.0f);
    std::vector<TokenId> history(rng.Next() % 40), banned;
    for (TokenId& id : history) id = chance(2) ? top.ids[rng.Next() % 12] : token();
    if (chance(3)) banned = {top.ids[0] % 190, token() % 190};
    const SampleLimits limits{banned, chance(3) ? &filter : nullptr};

    Sampler from_top(params, bias), from_all(params, bias);
    const auto got = from_top.SampleTop({top.logits, top.ids}, kVocab, history, limits);
    const auto want = from_all.Sample(std::span(logits).first(kVocab), history, limits);
    if (!got) {
      ++undecided;
      continue;
    }
    ++drawn;
    ASSERT_TRUE(want);
    ASSERT_EQ(*got, *want) << "trial " << trial;
    // Both have drawn as often.
    if (params.temperature == 0) continue;
    ASSERT_EQ(*from_top.Sample(logits, history), *from_all.Sample(logits, history));
  }
  EXPECT_GT(drawn, kTrials / 4);
  EXPECT_GT(undecided, kTrials / 20);
}

}  // namespace
}  // namespace tern
