#include "server/turnstile.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace tern {
namespace {

using Outcome = Turnstile::Outcome;

bool Always() { return true; }
bool Never() { return false; }

TEST(Turnstile, LetsOneInAfterTheOther) {
  Turnstile turnstile(0);
  EXPECT_EQ(turnstile.Enter(Always), Outcome::kMine);
  EXPECT_EQ(turnstile.Enter(Always), Outcome::kFull);
  turnstile.Leave();
  EXPECT_EQ(turnstile.Enter(Always), Outcome::kMine);
}

TEST(Turnstile, WhoGivesUpLeavesTheQueue) {
  Turnstile turnstile(1);
  EXPECT_EQ(turnstile.Enter(Always), Outcome::kMine);
  EXPECT_EQ(turnstile.Enter(Never), Outcome::kGivenUp);
  EXPECT_EQ(turnstile.Enter(Never), Outcome::kGivenUp);  // not kFull: the seat is free again
  turnstile.Leave();
  EXPECT_EQ(turnstile.Enter(Never), Outcome::kMine);  // nobody is asked who needn't wait
}

TEST(Turnstile, ThoseWhoWaitGetTheirTurnAndNobodySharesIt) {
  constexpr int kThreads = 8;
  Turnstile turnstile(kThreads);
  std::atomic<int> inside = 0, served = 0;
  ASSERT_EQ(turnstile.Enter(Always), Outcome::kMine);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&] {
      if (turnstile.Enter(Always) != Outcome::kMine) return;
      EXPECT_EQ(inside.fetch_add(1), 0);
      std::this_thread::yield();
      inside.fetch_sub(1);
      ++served;
      turnstile.Leave();
    });
  EXPECT_EQ(served, 0);
  turnstile.Leave();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(served, kThreads);
}

}  // namespace
}  // namespace tern
