#include "engine/benchmark.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tern {
namespace {

using testing::HasSubstr;

BenchmarkRow Row() {
  BenchmarkRow row;
  row.subject = {"tiny", "tiny.gguf", "cpu", 1 << 20, 2500000, 2, {}};
  row.test = {.generate = 4};
  row.cost = {.weight_bytes = 1'000'000, .kv_bytes = 1000, .ternary_ops = 4'000'000};
  row.rates = {10, 20, 30};
  row.latencies = {0.4, 0.1, 0.2, 0.3};
  return row;
}

TEST(BenchmarkTest, NamesAreThoseOfLlamaBenchAndTheSequencesOfABatch) {
  EXPECT_EQ((BenchmarkTest{.prompt = 512}).Name(), "pp512");
  EXPECT_EQ((BenchmarkTest{.generate = 128}).Name(), "tg128");
  EXPECT_EQ((BenchmarkTest{.prompt = 512, .depth = 4096}).Name(), "pp512 @ d4096");
  EXPECT_EQ((BenchmarkTest{.generate = 8, .depth = 7, .sequences = 32}).Name(), "tg8 x32 @ d7");
}

TEST(BenchmarkRow, RateDeviationAndLatencyAreThoseOfItsSamples) {
  EXPECT_DOUBLE_EQ(Row().Rate(), 20);
  EXPECT_DOUBLE_EQ(Row().Deviation(), 10);
  EXPECT_DOUBLE_EQ(Row().Latency(50), 0.2);
  EXPECT_DOUBLE_EQ(Row().Latency(99), 0.4);
}

TEST(BenchmarkRow, ADecodedTokenReadsTheWeightsOnceAndEveryEarlierPosition) {
  BenchmarkRow row = Row();
  row.test.depth = 10;
  // Positions 11, 12, 13 and 14 are read by the four tokens: 12.5 on average.
  EXPECT_DOUBLE_EQ(row.GigabytesPerSecond(), 1e-9 * 20 * (1'000'000 + 12.5 * 1000));
  EXPECT_DOUBLE_EQ(row.TeraOps(), 1e-12 * 20 * 4'000'000);
}

TEST(BenchmarkRow, ABatchReadsTheWeightsOnceForAllItsSequences) {
  BenchmarkRow row = Row();
  row.test.sequences = 4;
  EXPECT_DOUBLE_EQ(row.GigabytesPerSecond(), 1e-9 * (20 / 4) * (1'000'000 + 4 * 2.5 * 1000));
}

TEST(BenchmarkRow, SharesOfLimitsAreInPercentAndUnknownWithoutALimit) {
  BenchmarkRow row = Row();
  EXPECT_EQ(row.StreamPercent(), 0);
  EXPECT_EQ(row.PeakPercent(), 0);
  row.subject.limits = {2 * row.GigabytesPerSecond(), 4 * row.TeraOps(), "avx2"};
  EXPECT_DOUBLE_EQ(row.StreamPercent(), 50);
  EXPECT_DOUBLE_EQ(row.PeakPercent(), 25);
  row.test = {.prompt = 4};
  EXPECT_EQ(row.GigabytesPerSecond(), 0);
  EXPECT_EQ(row.StreamPercent(), 0);
}

TEST(BenchmarkRow, ItsRecordHasTheNamesOfLlamaBench) {
  const Record record = Row().ToRecord();
  EXPECT_EQ(record.name, "tg4");
  EXPECT_EQ(record.rate, 20);
  EXPECT_EQ(std::get<int64_t>(*record.Find("n_gen")), 4);
  EXPECT_EQ(std::get<int64_t>(*record.Find("n_threads")), 2);
  EXPECT_EQ(std::get<double>(*record.Find("avg_ts")), 20);
  EXPECT_EQ(std::get<std::vector<double>>(*record.Find("samples_ts")).size(), 3u);
  EXPECT_DOUBLE_EQ(std::get<double>(*record.Find("p99_ms")), 400);
  EXPECT_TRUE(std::isnan(std::get<double>(*record.Find("limit_gb_s"))));
}

TEST(BenchmarkRow, WhatIsNotKnownOfTheGpuIsAbsent) {
  BenchmarkRow row = Row();
  EXPECT_TRUE(std::isnan(std::get<double>(*row.ToRecord().Find("gpu_utilization_percent"))));
  EXPECT_EQ(GpuLine(row.ToRecord()), "");
  row.gpu.emplace();
  row.gpu->utilization = 0.875;
  row.gpu->energy_joules = 10;
  row.gpu->memory_used = 3'000'000;
  row.gpu->tokens = 40;
  const Record record = row.ToRecord();
  EXPECT_EQ(std::get<double>(*record.Find("gpu_utilization_percent")), 87.5);
  EXPECT_EQ(std::get<double>(*record.Find("gpu_j_per_token")), 0.25);
  EXPECT_TRUE(std::isnan(std::get<double>(*record.Find("gpu_power_w"))));
  EXPECT_EQ(GpuLine(record), "GPU, tg4: 88% busy, 3 MB, 0.25 J a token\n");
}

TEST(BenchmarkResults, TargetsAreMetOrMissed) {
  const BenchmarkResults results{{Row()}};
  EXPECT_TRUE(results.MeetsTargets({}));
  EXPECT_TRUE(results.MeetsTargets({.min_rate = 20, .max_p99_seconds = 0.4}));
  EXPECT_FALSE(results.MeetsTargets({.min_rate = 20.1}));
  EXPECT_FALSE(results.MeetsTargets({.max_p99_seconds = 0.39}));
}

TEST(BenchmarkResults, DisplayIsATableWithALineForEachRow) {
  BenchmarkRow row = Row();
  EXPECT_THAT((BenchmarkResults{{row}}).Display(),
              HasSubstr("| tiny | 1.00 MiB | 2.50 M | cpu | 2 | tg4 | 20.00 ± 10.00 | 200.00 / "
                        "400.00 / 400.00 | 0.02 | 0.00 |\n"));
  row.subject.limits.stream = 2 * row.GigabytesPerSecond();
  EXPECT_THAT((BenchmarkResults{{row}}).Display(), HasSubstr("| 0.02 (50%) |"));
}

}  // namespace
}  // namespace tern
