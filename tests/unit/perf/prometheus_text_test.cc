#include "perf/prometheus_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tern {
namespace {

using Type = PrometheusText::Type;

// The expected text follows the format's description, byte for byte.
TEST(PrometheusText, WritesEachType) {
  PrometheusText out;
  out.Add("a_total", Type::kCounter, "Things.", 3);
  out.Begin("b", Type::kGauge, "A place.");
  out.Value(0.25, {{"where", "a \"b\"\\\n"}, {"who", "x"}});
  out.Value(std::numeric_limits<double>::infinity());
  Histogram histogram;
  for (const double value : {0.5, 1.0, 4.0}) histogram.Record(value);
  out.Begin("c_seconds", Type::kHistogram, "Times.");
  out.Value(histogram.Snapshot(), {1, 2}, {{"phase", "p"}});
  EXPECT_EQ(out.Take(),
            "# HELP a_total Things.\n# TYPE a_total counter\na_total 3\n"
            "# HELP b A place.\n# TYPE b gauge\n"
            "b{where=\"a \\\"b\\\"\\\\\\n\",who=\"x\"} 0.25\nb +Inf\n"
            "# HELP c_seconds Times.\n# TYPE c_seconds histogram\n"
            "c_seconds_bucket{phase=\"p\",le=\"1\"} 2\nc_seconds_bucket{phase=\"p\",le=\"2\"} 2\n"
            "c_seconds_bucket{phase=\"p\",le=\"+Inf\"} 3\n"
            "c_seconds_sum{phase=\"p\"} 5.5\nc_seconds_count{phase=\"p\"} 3\n");
}

TEST(PrometheusText, WhatIsWrittenIsReadAgain) {
  PrometheusText out;
  out.Begin("b", Type::kGauge, "A place.");
  out.Value(1e-9, {{"where", "a \"b\"\\\n"}, {"who", "x"}});
  out.Value(-2);
  const auto samples = ParsePrometheusText(out.Take());
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].name, "b");
  EXPECT_EQ(samples[0].Label("where"), "a \"b\"\\\n");
  EXPECT_EQ(samples[0].Label("who"), "x");
  EXPECT_EQ(samples[0].Label("when"), "");
  EXPECT_EQ(samples[0].value, 1e-9);
  EXPECT_EQ(samples[1].value, -2);
  EXPECT_TRUE(samples[1].labels.empty());
}

TEST(PrometheusText, ReadsWhatOthersWriteAndLeavesOutWhatIsNone) {
  const auto samples = ParsePrometheusText(
      "# HELP x y\r\nx 1 1700000000000\r\n\n  y{a=\"1\", b=\"2\",} +Inf\nz NaN\n"
      "bad\nbad one\nbad{a=\"1\" 2\nbad{a=} 1\nbad{a=\"\\\n{} 1\nlast{} 7");
  ASSERT_EQ(samples.size(), 4u);
  EXPECT_EQ(samples[0].value, 1);
  EXPECT_EQ(samples[1].Label("b"), "2");
  EXPECT_EQ(samples[1].value, std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(samples[2].value));
  EXPECT_EQ(samples[3].name, "last");
  EXPECT_EQ(samples[3].value, 7);
}

}  // namespace
}  // namespace tern
