#include "perf/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

using testing::ElementsAre;

std::string Render(const MetricRegistry& registry) {
  PrometheusText out;
  registry.Render(out);
  return out.Take();
}

TEST(MetricRegistry, FamiliesAreTogetherAndAbsentValuesAreLeftOut) {
  MetricRegistry registry;
  Counter& first = registry.AddCounter({"x_bytes_total", "Bytes.", "bytes"}, {{"way", "in"}});
  Gauge& absent = registry.AddGauge({"y_celsius", "Warmth.", "celsius"});
  registry.AddCounter({"x_bytes_total", "Bytes.", "bytes"}, {{"way", "out"}}).Add(7);
  first.Add(2);
  first.Add(3);
  const std::string head =
      "# HELP x_bytes_total Bytes.\n# TYPE x_bytes_total counter\n"
      "x_bytes_total{way=\"in\"} 5\nx_bytes_total{way=\"out\"} 7\n";
  EXPECT_EQ(Render(registry), head);
  absent.Set(0.0);  // a value like others
  EXPECT_EQ(Render(registry), head +
                                  "# HELP y_celsius Warmth.\n# TYPE y_celsius gauge\n"
                                  "y_celsius 0\n");
  absent.Set(std::nullopt);
  EXPECT_EQ(Render(registry), head);
}

TEST(MetricRegistry, AHistogramHasItsBuckets) {
  MetricRegistry registry;
  registry.AddHistogram({"t_seconds", "Time.", "seconds"}, {0.5}).Record(0.25, 4);
  EXPECT_EQ(Render(registry),
            "# HELP t_seconds Time.\n# TYPE t_seconds histogram\nt_seconds_bucket{le=\"0.5\"} 4\n"
            "t_seconds_bucket{le=\"+Inf\"} 4\nt_seconds_sum 1\nt_seconds_count 4\n");
}

TEST(MetricRegistryDeathTest, NamesFollowTheConventions) {
  MetricRegistry registry;
  EXPECT_DEATH(registry.AddCounter({"x_seconds", "No _total.", "seconds"}), "FollowsConventions");
  EXPECT_DEATH(registry.AddGauge({"x_total", "A gauge."}), "FollowsConventions");
  EXPECT_DEATH(registry.AddGauge({"x_time", "No unit.", "seconds"}), "FollowsConventions");
  EXPECT_DEATH(registry.AddGauge({"x-y", "No name."}), "FollowsConventions");
  EXPECT_DEATH(registry.AddGauge({"x", ""}), "FollowsConventions");
  registry.AddGauge({"x", "Once."}, {{"a", "b"}});
  EXPECT_DEATH(registry.AddGauge({"x", "Twice."}, {{"a", "b"}}), "labels");
}

TEST(DecimalBounds, AreShortNumbers) {
  EXPECT_THAT(DecimalBounds(0.0001, 0.01),
              ElementsAre(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01));
  EXPECT_THAT(DecimalBounds(5, 100), ElementsAre(5, 10, 25, 50, 100));
}

}  // namespace
}  // namespace tern
