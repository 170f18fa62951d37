#include "perf/limits.h"

#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cstring>
#include <memory>

#include "perf/probes.h"
#include "perf/team.h"

namespace tern {
namespace {

TEST(RunTogether, EveryThreadPreparesBeforeAnyStarts) {
  std::atomic<int> prepared = 0, early = 0, ran = 0;
  const TeamTime time = RunTogether(
      5,
      [&](int) {
        early += prepared != 5;
        ++ran;
      },
      [&](int) { ++prepared; });
  EXPECT_EQ(ran, 5);
  EXPECT_EQ(early, 0);
  EXPECT_GE(time.seconds, 0);
  EXPECT_LE(time.cpu_seconds, time.seconds + 1e-3);
}

TEST(Probes, TheWidestReadSeesEveryByte) {
  constexpr size_t kBytes = 2048;
  auto* data = static_cast<std::byte*>(std::aligned_alloc(64, kBytes));
  const std::unique_ptr<std::byte, decltype(&std::free)> owner(data, std::free);
  std::memset(data, 0, kBytes);
  for (const CpuFeatures features : {CpuFeatures{0}, DetectCpu()})
    EXPECT_EQ(WidestRead(features)(data, kBytes, 1), 0u);
  EXPECT_NE(WidestRead(0), nullptr);
}

TEST(Probes, EachUsableOneAddsUpWhatItsLoopSays) {
  for (const auto& probes : {IntProbes(), FloatProbes(), Bfloat16Probes()})
    for (const ComputeProbe& probe : probes) {
      if ((probe.needs & DetectCpu()) != probe.needs) continue;
      EXPECT_GT(probe.ops_per_round, 0);
      probe.run(3);
    }
}

TEST(Limits, EveryRowHasAFigureForOneThreadAndForAll) {
  const MachineLimits machine =
      MeasureLimits({.threads = 2, .seconds = 1e-6, .runs = 1, .dram_bytes = 1 << 20});
  EXPECT_EQ(machine.threads, 2);
  EXPECT_EQ(machine.features, DetectCpu());
  ASSERT_NE(machine.Find(kDramRead), nullptr);
  EXPECT_NE(machine.Find("l1 read"), nullptr);
  EXPECT_EQ(machine.Find("l9 read"), nullptr);
  for (const Limit& limit : machine.limits) {
    EXPECT_GT(limit.one, 0) << limit.name;
    EXPECT_GT(limit.all, 0) << limit.name;
  }
  for (const ComputeProbe& probe : IntProbes())
    EXPECT_EQ(machine.Find(IntLimitName(probe.name)) != nullptr,
              (probe.needs & DetectCpu()) == probe.needs);
}

TEST(Limits, AWorkingSetIsReadFromTheCacheThatHoldsIt) {
  const LimitOptions quick{.threads = 2, .seconds = 1e-6, .runs = 1, .dram_bytes = 1 << 20};
  const Limit small = MeasureReadOf(1 << 16, quick);
  EXPECT_EQ(small.name, "cache read");
  EXPECT_EQ(small.bytes, uint64_t{1} << 15);
  EXPECT_GT(small.all, 0);
  EXPECT_EQ(MeasureReadOf(0, quick).bytes, 512u);
  EXPECT_EQ(MeasureReadOf(uint64_t{1} << 40, quick).name, kDramRead);
}

TEST(Limits, MeasuringCanBeStopped) {
  int asked = 0;
  const MachineLimits machine = MeasureLimits({.seconds = 1e-6, .runs = 1, .dram_bytes = 1 << 20},
                                              [&](std::string_view) { return ++asked < 2; });
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(machine.limits.size(), 1u);
}

}  // namespace
}  // namespace tern
