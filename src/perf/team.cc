#include "perf/team.h"

#include <time.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <thread>
#include <vector>

#include "platform/cpu_set.h"

namespace tern {
namespace {

double ThreadCpuSeconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

TeamTime RunTogether(int threads, const std::function<void(int)>& body,
                     const std::function<void(int)>& prepare) {
  using Clock = std::chrono::steady_clock;
  struct Times {
    Clock::time_point start, end;
    double cpu = 0;
  };
  const std::vector<int> cpus = UsableCpus();
  std::vector<Times> times(static_cast<size_t>(threads));
  std::barrier ready(threads);
  std::vector<std::thread> team;
  for (int i = 0; i < threads; ++i)
    team.emplace_back([&, i] {
      BindToCpus({cpus[static_cast<size_t>(i) % cpus.size()]});
      if (prepare) prepare(i);
      ready.arrive_and_wait();
      Times& own = times[static_cast<size_t>(i)];
      own.start = Clock::now();
      const double cpu = ThreadCpuSeconds();
      body(i);
      own.cpu = ThreadCpuSeconds() - cpu;
      own.end = Clock::now();
    });
  for (std::thread& thread : team) thread.join();
  const auto first = std::min_element(times.begin(), times.end(), [](const auto& a, const auto& b) {
                       return a.start < b.start;
                     })->start;
  const auto last = std::max_element(times.begin(), times.end(), [](const auto& a, const auto& b) {
                      return a.end < b.end;
                    })->end;
  TeamTime time{std::chrono::duration<double>(last - first).count(), 0};
  for (const Times& own : times) time.cpu_seconds += own.cpu / threads;
  return time;
}

}  // namespace tern
