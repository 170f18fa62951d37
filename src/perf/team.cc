#include "perf/team.h"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <thread>
#include <vector>

#include "platform/cpu_set.h"

namespace tern {

double RunTogether(int threads, const std::function<void(int)>& body,
                   const std::function<void(int)>& prepare) {
  using Clock = std::chrono::steady_clock;
  struct Times {
    Clock::time_point start, end;
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
      body(i);
      own.end = Clock::now();
    });
  for (std::thread& thread : team) thread.join();
  const auto first = std::min_element(times.begin(), times.end(), [](const auto& a, const auto& b) {
                       return a.start < b.start;
                     })->start;
  const auto last = std::max_element(times.begin(), times.end(), [](const auto& a, const auto& b) {
                      return a.end < b.end;
                    })->end;
  return std::chrono::duration<double>(last - first).count();
}

}  // namespace tern
