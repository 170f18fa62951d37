#include "platform/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "platform/cpu_set.h"
#include "platform/worker_crew.h"

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

TEST_P(ThreadPoolTest, AThreadFindsItsPartAgain) {
  ThreadPool pool(GetParam());
  constexpr size_t kCount = 64;
  std::vector<std::thread::id> first(kCount), again(kCount);
  // No thread goes on before all have come, so none can do another one's part.
  const auto note = [&](std::vector<std::thread::id>& owners) {
    std::mutex mutex;
    std::condition_variable changed;
    std::set<std::thread::id> here;
    pool.ParallelFor(kCount, 4, [&](size_t begin, size_t end) {
      {
        std::unique_lock lock(mutex);
        here.insert(std::this_thread::get_id());
        changed.notify_all();
        changed.wait(lock, [&] { return std::cmp_equal(here.size(), pool.workers()); });
      }
      for (size_t i = begin; i < end; ++i) owners[i] = std::this_thread::get_id();
    });
  };
  note(first);
  for (int round = 0; round < 100; ++round) {
    note(again);
    EXPECT_EQ(first, again);
  }
}

// No worker was started, so none comes: as if all were off their CPUs for as long as this takes.
TEST(WorkerCrew, WhatNoWorkerHasBegunTheCallerDoes) {
  WorkerCrew crew({0, 1, 2});
  for (int round = 0; round < 3; ++round) {
    std::vector<size_t> done;
    const auto task = [&](size_t runner) { done.push_back(runner); };
    crew.Run(3, task);
    EXPECT_EQ(done, (std::vector<size_t>{0, 1, 2}));
  }
}

// The caller's part is as long as it takes a worker to come, more or less: now one is the first to
// take the worker's part, now the other. Each part is done once.
TEST(WorkerCrew, EachPartIsDoneOnceWhoeverDoesIt) {
  const auto crew = WorkerCrew::Get();
  const size_t runners = crew->Start(7, false) + 1;
  std::vector<int> hits(runners);  // not atomic: a part has one owner at a time
  constexpr int kRounds = 200000;
  for (int round = 0; round < kRounds; ++round) {
    const auto task = [&](size_t runner) {
      ++hits[runner];
      for (volatile int i = runner == 0 ? 0 : 50; i < round % 150;) i = i + 1;
    };
    crew->Run(runners, task);
  }
  for (const int count : hits) EXPECT_EQ(count, kRounds);
}

TEST_P(ThreadPoolTest, ALoopInsideALoopRunsOnItsThread) {
  ThreadPool pool(GetParam());
  std::atomic<int> total = 0;
  pool.ParallelFor(8, 1, [&](size_t begin, size_t end) {
    const auto self = std::this_thread::get_id();
    for (size_t i = begin; i < end; ++i)
      pool.ParallelFor(16, 1, [&](size_t b, size_t e) {
        EXPECT_EQ(std::this_thread::get_id(), self);
        total += static_cast<int>(e - b);
      });
  });
  EXPECT_EQ(total, 8 * 16);
}

TEST_P(ThreadPoolTest, WorkersThatFellAsleepComeBack) {
  ThreadPool pool(GetParam());
  std::atomic<int> total = 0;
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    pool.ParallelFor(16, 1, [&](size_t begin, size_t end) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));  // the caller falls asleep too
      total += static_cast<int>(end - begin);
    });
  }
  EXPECT_EQ(total, 20 * 16);
}

TEST(ThreadPool, ZeroMeansOneThreadPerUsableCpu) {
  EXPECT_EQ(ThreadPool(0).threads(), UsableCpuCount());
}

TEST(ThreadPool, PartsBeyondTheCpusHaveNoThreadOfTheirOwn) {
  const auto cpus = static_cast<int>(UsableCpus().size());
  EXPECT_EQ(ThreadPool(cpus + 7).threads(), cpus + 7);
  EXPECT_EQ(ThreadPool(cpus + 7).workers(), cpus);
  EXPECT_EQ(ThreadPool(1).workers(), 1);
}

// Pools of several engines share their workers and are called whenever their engines like.
TEST(ThreadPool, SeveralCallersAtOnceGetWhatTheyAskedFor) {
  std::set<std::thread::id> workers;
  std::mutex mutex;
  std::vector<std::thread> callers;
  std::atomic<int> wrong = 0;
  for (int c = 0; c < 4; ++c)
    callers.emplace_back([&, c] {
      ThreadPool pool(c + 1);
      std::set<std::thread::id> mine;
      for (int round = 0; round < 500; ++round) {
        std::vector<int> squares(100);
        pool.ParallelFor(squares.size(), 1, [&](size_t begin, size_t end) {
          for (size_t i = begin; i < end; ++i) squares[i] = static_cast<int>(i * i);
          const std::lock_guard lock(mutex);
          mine.insert(std::this_thread::get_id());
        });
        for (size_t i = 0; i < squares.size(); ++i) wrong += squares[i] != static_cast<int>(i * i);
      }
      const std::lock_guard lock(mutex);
      mine.erase(std::this_thread::get_id());
      workers.insert(mine.begin(), mine.end());
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(workers.size(), UsableCpus().size() - 1);
}

TEST(ThreadPool, TheEnvironmentKeepsWorkersLoose) {
  ::setenv("TERN_PIN", "0", 1);
  EXPECT_FALSE(ThreadPool(0).pinned());
  ::unsetenv("TERN_PIN");
  const auto cpus = static_cast<int>(UsableCpus().size());
  EXPECT_EQ(ThreadPool(0).pinned(), cpus > 1 && UsableCpuCount() == cpus);
}

TEST(CpuSet, AQuotaOfCpuTimeIsRoundedUpToCpus) {
  EXPECT_EQ(CpusOfQuota("150000 100000"), 2);
  EXPECT_EQ(CpusOfQuota("100000 100000\n"), 1);
  EXPECT_EQ(CpusOfQuota("50000 100000"), 1);
  EXPECT_EQ(CpusOfQuota("max 100000"), 0);
  EXPECT_EQ(CpusOfQuota(""), 0);
  EXPECT_EQ(CpusOfQuota("-1 100000"), 0);
  EXPECT_EQ(CpusOfQuota("100000 0"), 0);
}

TEST(CpuSet, APinnedThreadHasOneCpuLeft) {
  const std::vector<int> cpus = UsableCpus();
  std::thread([&] {
    BindToCpus({cpus.back()});
    EXPECT_EQ(UsableCpus(), std::vector<int>{cpus.back()});
    EXPECT_EQ(ThreadPool(4).workers(), 1);
  }).join();
}

}  // namespace
}  // namespace tern
