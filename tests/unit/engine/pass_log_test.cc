#include "engine/pass_log.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

constexpr ForwardPass At(double end) {
  return {.end = end, .seconds = 0.01, .decode_rows = 1, .prompt_rows = 0, .sequences = 1};
}

TEST(PassLog, HandsOnWhenItIsFullOrAskedTo) {
  PerformanceMonitor monitor;
  PassLog log(&monitor);
  for (int i = 0; i < 63; ++i) log.AddPass(At(0));
  EXPECT_EQ(monitor.pass_time().count(), 0u);
  log.AddPass(At(0));
  EXPECT_EQ(monitor.pass_time().count(), 64u);
  log.AddPass(At(0));
  log.AddBetweenTokens(0.01, 3);
  log.Flush();
  EXPECT_EQ(monitor.pass_time().count(), 65u);
  EXPECT_EQ(monitor.between_tokens().count(), 3u);
  for (int i = 0; i < 512; ++i) log.AddBetweenTokens(0.01, 1);
  EXPECT_EQ(monitor.between_tokens().count(), 515u);
  log.Flush();
  EXPECT_EQ(monitor.between_tokens().count(), 515u);
}

TEST(PassLog, SlowPassesDontWaitForMany) {
  PerformanceMonitor monitor;
  PassLog log(&monitor);
  log.AddPass(At(1));
  log.AddPass(At(1.2));
  EXPECT_EQ(monitor.pass_time().count(), 0u);
  log.AddPass(At(1.4));
  EXPECT_EQ(monitor.pass_time().count(), 3u);
}

TEST(PassLog, WithoutAMonitorNothingIsKept) {
  PassLog log(nullptr);
  for (int i = 0; i < 1000; ++i) {
    log.AddPass(At(i));
    log.AddBetweenTokens(0.01, 1);
  }
  log.Flush();
}

}  // namespace
}  // namespace tern
