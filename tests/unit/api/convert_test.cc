// Options on their way to the engine.
#include "api/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tern {
namespace {

using testing::HasSubstr;

TEST(ToEngineOptions, AlertsReachTheCallback) {
  std::vector<v1::PerformanceAlert> alerts;
  v1::LoadOptions options;
  options.alert_tolerance = 0.1;
  options.alert_after = std::chrono::milliseconds(1500);
  options.on_alert = [&alerts](const v1::PerformanceAlert& alert) { alerts.push_back(alert); };
  const auto engine = ToEngineOptions("model.gguf", options);
  ASSERT_TRUE(engine);
  EXPECT_EQ(engine->monitoring.tolerance, 0.1);
  EXPECT_EQ(engine->monitoring.hold, 1.5);
  engine->monitoring.on_alert({"decode", false, 1.2, 1.1, 1.3, 0.1});
  ASSERT_EQ(alerts.size(), 1u);
  EXPECT_EQ(alerts[0].operation, "decode");
  EXPECT_FALSE(alerts[0].firing);
  EXPECT_EQ(alerts[0].ratio, 1.2);
  EXPECT_EQ(alerts[0].low, 1.1);
  EXPECT_EQ(alerts[0].high, 1.3);
  EXPECT_EQ(alerts[0].tolerance, 0.1);
}

TEST(ToEngineOptions, AToleranceOfNothingIsRefused) {
  for (const double tolerance : {0.0, -1.0, std::nan("")}) {
    v1::LoadOptions options;
    options.alert_tolerance = tolerance;
    const auto engine = ToEngineOptions("model.gguf", options);
    EXPECT_EQ(engine.error().code, Code::kInvalidArgument);
    EXPECT_THAT(engine.error().message, HasSubstr("alert_tolerance"));
  }
  v1::LoadOptions options;
  options.alert_after = std::chrono::milliseconds(-1);
  EXPECT_THAT(ToEngineOptions("model.gguf", options).error().message, HasSubstr("alert_after"));
}

}  // namespace
}  // namespace tern
