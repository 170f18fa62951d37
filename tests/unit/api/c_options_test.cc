// Options of the C API on their way to the C++ one.
#include "api/c_options.h"

#include <gtest/gtest.h>

#include <cstddef>

namespace tern {
namespace {

struct Seen {
  int calls = 0;
  std::string operation;
  tern_alert alert = {};
};

void See(const tern_alert* alert, void* user) {
  Seen& seen = *static_cast<Seen*>(user);
  ++seen.calls;
  seen.operation = alert->operation;
  seen.alert = *alert;
}

TEST(CLoadOptions, AlertsReachTheCallbackWithItsUser) {
  Seen seen;
  tern_load_options c;
  tern_load_options_init(&c);
  c.alert_tolerance = 0.1;
  c.alert_after_ms = 1500;
  c.on_alert = See;
  c.on_alert_user = &seen;
  const auto options = FromC(&c);
  ASSERT_TRUE(options);
  EXPECT_EQ(options->alert_tolerance, 0.1);
  EXPECT_EQ(options->alert_after, std::chrono::milliseconds(1500));
  ASSERT_TRUE(options->on_alert);
  options->on_alert({"decode", false, 1.2, 1.1, 1.3, 0.1});
  EXPECT_EQ(seen.calls, 1);
  EXPECT_EQ(seen.operation, "decode");
  EXPECT_EQ(seen.alert.size, sizeof(tern_alert));
  EXPECT_EQ(seen.alert.firing, 0);
  EXPECT_EQ(seen.alert.ratio, 1.2);
  EXPECT_EQ(seen.alert.low, 1.1);
  EXPECT_EQ(seen.alert.high, 1.3);
  EXPECT_EQ(seen.alert.tolerance, 0.1);
  options->on_alert({"prefill", true, 2, 2, 2, 0.1});
  EXPECT_EQ(seen.alert.firing, 1);
}

TEST(CLoadOptions, ProgramsOfBeforeAlertsGetTheirDefaultsAndNoCall) {
  tern_load_options c;
  tern_load_options_init(&c);
  c.alert_tolerance = 7;
  c.on_alert = See;
  c.size = offsetof(tern_load_options, alert_tolerance);
  const auto options = FromC(&c);
  ASSERT_TRUE(options);
  EXPECT_EQ(options->alert_tolerance, v1::LoadOptions().alert_tolerance);
  EXPECT_EQ(options->alert_after, v1::LoadOptions().alert_after);
  EXPECT_FALSE(options->on_alert);
}

}  // namespace
}  // namespace tern
