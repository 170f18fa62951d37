#include "platform/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <vector>

namespace tern {
namespace {

class ThreadPoolTest : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolTest, RunsEveryIndexOnceAndKeepsToTheGrain) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
  for (const size_t n : {size_t{0}, size_t{1}, size_t{7}, size_t{64}, size_t{1001}}) {
    for (const size_t grain : {size_t{1}, size_t{8}, size_t{2000}}) {
      std::vector<std::atomic<int>> hits(n);
      pool.ParallelFor(n, grain, [&](size_t begin, size_t end) {
        EXPECT_EQ(begin % grain, 0u);
        EXPECT_TRUE(end == n || end % grain == 0);
        for (size_t i = begin; i < end; ++i) ++hits[i];
      });
      for (size_t i = 0; i < n; ++i)
        EXPECT_EQ(hits[i], 1) << i << " of " << n << " grain " << grain;
    }
  }
}

TEST_P(ThreadPoolTest, ManyRoundsInARowLoseNothing) {
  ThreadPool pool(GetParam());
  std::atomic<int> total = 0;
  for (int round = 0; round < 2000; ++round)
    pool.ParallelFor(16, 1,
                     [&](size_t begin, size_t end) { total += static_cast<int>(end - begin); });
  EXPECT_EQ(total, 2000 * 16);
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 3, 8));

TEST(ThreadPool, ZeroMeansOneThreadPerUsableCpu) { EXPECT_GE(ThreadPool(0).threads(), 1); }

}  // namespace
}  // namespace tern
