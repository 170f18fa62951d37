// The monitor under a clock of the test's own.
#include "perf/monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

namespace tern {
namespace {

using testing::HasSubstr;

// A load of decode passes: a look every 10 s, and 50 passes before each.
class MonitorTest : public testing::Test {
 protected:
  MonitorTest() {
    options_.on_alert = [this](const PerformanceAlert& alert) { alerts_.push_back(alert); };
  }

  void Run(double seconds, double pass_seconds, int64_t sequences = 2, int64_t context = 100) {
    std::lognormal_distribution<double> noise(0, 0.1);
    for (const double end = now_ + seconds; now_ < end;) {
      for (int i = 0; i < 50; ++i) {
        now_ += 0.2;
        monitor().RecordPass({.end = now_,
                              .seconds = pass_seconds * noise(random_),
                              .decode_rows = sequences,
                              .prompt_rows = 0,
                              .sequences = sequences,
                              .positions = sequences * context});
      }
      monitor().Look(now_);
    }
  }

  PerformanceMonitor& monitor() {
    if (!monitor_) monitor_ = std::make_unique<PerformanceMonitor>(options_);
    return *monitor_;
  }

  /// name{label values} -> value.
  std::map<std::string, double> Values() {
    PrometheusText out;
    monitor().Render(out);
    std::map<std::string, double> values;
    for (const MetricSample& sample : ParsePrometheusText(out.Take())) {
      std::string key = sample.name;
      for (const auto& [label, value] : sample.labels) key += " " + value;
      values[key] = sample.value;
    }
    return values;
  }

  MonitorOptions options_;
  std::vector<PerformanceAlert> alerts_;
  double now_ = PerformanceMonitor::Now();
  std::mt19937_64 random_{1};
  std::unique_ptr<PerformanceMonitor> monitor_;
};

TEST_F(MonitorTest, ASlowdownIsToldOnceAndSoIsItsEnd) {
  Run(300, 0.010);
  EXPECT_EQ(alerts_.size(), 0u);
  EXPECT_EQ(monitor().state(PerformanceMonitor::kDecode), SlowdownState::kUsual);
  EXPECT_NEAR(Values()["tern_slowdown_ratio decode"], 1, 0.06);
  Run(300, 0.012);
  ASSERT_EQ(alerts_.size(), 1u);
  EXPECT_EQ(alerts_[0].operation, "decode");
  EXPECT_TRUE(alerts_[0].firing);
  EXPECT_NEAR(alerts_[0].ratio, 1.2, 0.08);
  EXPECT_GT(alerts_[0].low, 1.05);
  EXPECT_THAT(alerts_[0].Describe(), HasSubstr("more than the tolerance of 5%"));
  EXPECT_EQ(Values()["tern_slowdown_alert decode"], 1);
  EXPECT_EQ(Values()["tern_slowdown_alert prefill"], 0);
  EXPECT_EQ(Values()["tern_slowdown_alerts_total decode"], 1);
  Run(300, 0.010);
  ASSERT_EQ(alerts_.size(), 2u);
  EXPECT_FALSE(alerts_[1].firing);
  EXPECT_EQ(Values()["tern_slowdown_alert decode"], 0);
}

TEST_F(MonitorTest, AShortSlowdownIsNoNews) {
  Run(300, 0.010);
  Run(40, 0.02);
  Run(300, 0.010);
  EXPECT_EQ(alerts_.size(), 0u);
}

TEST_F(MonitorTest, NoiseAloneIsNoNews) {
  Run(6 * 3600, 0.010);
  EXPECT_EQ(alerts_.size(), 0u);
}

TEST_F(MonitorTest, AnotherLoadIsNoSlowdown) {
  Run(300, 0.010, 2);
  Run(300, 0.030, 16);       // more sequences take longer
  Run(300, 0.014, 2, 3000);  // and so does a longer context
  EXPECT_EQ(alerts_.size(), 0u);
  Run(300, 0.036, 16);  // but this is one
  EXPECT_EQ(alerts_.size(), 1u);
}

TEST_F(MonitorTest, OtherOperationsAreWatchedToo) {
  const auto transfer = monitor().AddOperation("transfer");
  const auto run = [&](double seconds) {
    for (int look = 0; look < 20; ++look, monitor().Look(now_))
      for (int i = 0; i < 20; ++i) monitor().RecordOperation(transfer, 7, now_ += 0.5, seconds);
  };
  run(1);
  run(1.1);
  ASSERT_EQ(alerts_.size(), 1u);
  EXPECT_EQ(alerts_[0].operation, "transfer");
}

TEST_F(MonitorTest, RatesAreThoseOfTheLastInterval) {
  options_.memory_limit = 1e9;
  monitor().SetCost({.weight_bytes = 1000000, .position_bytes = 1000});
  double now = now_;
  monitor().Look(now);
  for (int i = 0; i < 100; ++i)
    monitor().RecordPass(
        {.end = now, .seconds = 0.01, .decode_rows = 4, .sequences = 4, .positions = 400});
  for (int i = 0; i < 10; ++i)
    monitor().RecordPass({.end = now, .seconds = 0.1, .prompt_rows = 64, .sequences = 1});
  monitor().Look(now += 10);
  auto values = Values();
  EXPECT_NEAR(values["tern_decode_tokens_per_second"], 400, 1e-6);
  EXPECT_NEAR(values["tern_prefill_tokens_per_second"], 640, 1e-6);
  EXPECT_NEAR(values["tern_busy_ratio"], 0.2, 1e-9);
  EXPECT_NEAR(values["tern_read_bytes_per_second"], 1.4e8, 1);
  EXPECT_NEAR(values["tern_read_limit_ratio"], 0.14, 1e-9);
  EXPECT_EQ(values["tern_step_tokens_total decode"], 400);
  EXPECT_EQ(values["tern_step_seconds_count prefill"], 10);
  monitor().Look(now += 10);
  values = Values();
  EXPECT_EQ(values.count("tern_decode_tokens_per_second"), 0u);  // absent, not 0
  EXPECT_EQ(values.count("tern_read_limit_ratio"), 0u);
  EXPECT_EQ(values["tern_busy_ratio"], 0);
}

TEST_F(MonitorTest, PercentilesAreThoseOfTheLastMinute) {
  EXPECT_EQ(Values().count("tern_ttft_recent_seconds 50"), 0u);
  for (int i = 0; i < 1000; ++i) monitor().RecordFirstToken(1);
  EXPECT_EQ(Values()["tern_ttft_recent_seconds 50"], 1);  // before the first look, too
  double now = now_;
  monitor().Look(now);
  for (int i = 0; i < 10; ++i) monitor().Look(now += 10);
  EXPECT_EQ(Values().count("tern_ttft_recent_seconds 50"), 0u);
  for (int i = 1; i <= 1000; ++i) monitor().RecordFirstToken(i * 0.001);
  const auto values = Values();
  EXPECT_NEAR(values.at("tern_ttft_recent_seconds 50"), 0.5, 0.005);
  EXPECT_NEAR(values.at("tern_ttft_recent_seconds 99.9"), 0.999, 0.01);
  EXPECT_EQ(values.at("tern_ttft_recent_seconds 100"), 1);
  EXPECT_EQ(values.at("tern_ttft_seconds_count"), 2000);
}

TEST_F(MonitorTest, TrendsAreSharesPerHour) {
  double now = now_;
  for (int i = 0; i < 360; ++i, now += 10) {
    monitor().RecordQueueTime(0.1);
    monitor().RecordFirstToken(1 + 0.2 * i / 360);  // 20% in the hour
    monitor().Look(now);
  }
  const auto values = Values();
  EXPECT_NEAR(values.at("tern_trend_per_hour ttft"), 0.2 / 1.1, 0.01);
  EXPECT_GT(values.at("tern_trend_low_per_hour ttft"), 0.15);
  EXPECT_LT(values.at("tern_trend_high_per_hour ttft"), 0.22);
  EXPECT_EQ(values.at("tern_trend_per_hour queue"), 0);
  EXPECT_EQ(values.count("tern_trend_per_hour inter_token"), 0u);
}

TEST_F(MonitorTest, MemoryIsToldByTier) {
  monitor().SetMemory([] {
    return std::vector<MemoryUse>{{"cpu", "slab", 750, 1000}, {"cpu", "mapped", 0, 0}};
  });
  const auto values = Values();
  EXPECT_EQ(values.at("tern_memory_live_bytes cpu slab"), 750);
  EXPECT_EQ(values.at("tern_memory_fragmentation_ratio cpu slab"), 0.25);
  EXPECT_EQ(values.count("tern_memory_fragmentation_ratio cpu mapped"), 0u);
  EXPECT_GT(values.at("process_resident_memory_bytes"), 1e5);
}

TEST_F(MonitorTest, TransfersAreThereWhereThereIsABus) {
  EXPECT_EQ(Values().count("tern_transfer_bytes_total to_host"), 0u);
  monitor().SetTransfers([] { return Transfers{7000, 50}; });
  EXPECT_EQ(Values().at("tern_transfer_bytes_total to_device"), 7000);
  EXPECT_EQ(Values().at("tern_transfer_bytes_total to_host"), 50);
}

TEST_F(MonitorTest, AThreadOfItsOwnLooks) {
  options_.period = 0.001;
  monitor().Start();
  monitor().RecordPass({.end = now_, .seconds = 0.01, .decode_rows = 4, .sequences = 4});
  while (Values().count("tern_busy_ratio") == 0) std::this_thread::yield();
}

}  // namespace
}  // namespace tern
