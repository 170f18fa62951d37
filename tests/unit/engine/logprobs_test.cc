#include "engine/logprobs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tern {
namespace {

TEST(Logprobs, TheSoftmaxOfTheLogits) {
  const std::vector<float> logits = {1, 3, 2, 3, -1};
  double total = 0;
  for (const float logit : logits) total += std::exp(logit);
  const TokenEvent event = LogprobsOf(logits, 2, 3);
  EXPECT_EQ(event.id, 2);
  EXPECT_NEAR(event.logprob, 2 - std::log(total), 1e-6);
  ASSERT_EQ(event.top.size(), 3u);
  EXPECT_EQ(event.top[0].id, 1);
  EXPECT_EQ(event.top[1].id, 3);
  EXPECT_EQ(event.top[2].id, 2);
  EXPECT_EQ(event.top[2].logprob, event.logprob);
  EXPECT_NEAR(event.top[0].logprob, 3 - std::log(total), 1e-6);
  EXPECT_TRUE(LogprobsOf(logits, 2, 0).top.empty());
  EXPECT_EQ(LogprobsOf(logits, 2, 20).top.size(), 5u);
}

TEST(Logprobs, NanAndInfinityHaveNoPart) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float never = -std::numeric_limits<float>::infinity();
  const TokenEvent event = LogprobsOf(std::vector<float>{nan, 5, never}, 1, 2);
  EXPECT_EQ(event.logprob, 0);
  EXPECT_EQ(event.top[0].id, 1);
}

}  // namespace
}  // namespace tern
