#include "platform/nvml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

using testing::HasSubstr;

TEST(Nvml, SaysWhatTheLibrarySays) {
  const auto nvml = Nvml::Open(TERN_FAKE_NVML);
  ASSERT_TRUE(nvml) << nvml.error().message;
  EXPECT_EQ(nvml->devices(), 3);
  EXPECT_EQ(nvml->driver(), "570.1");
  const auto sample = nvml->Sample(0);
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->name, "Fake GPU");
  EXPECT_EQ(sample->utilization, 0.8);
  EXPECT_EQ(sample->memory_utilization, 0.4);
  EXPECT_EQ(sample->memory_used, 700u);
  EXPECT_EQ(sample->memory_total, 1000u);
  EXPECT_DOUBLE_EQ(*sample->power_watts, 123.456);
  EXPECT_EQ(sample->energy_joules, 5e6);  // more than 32 bits of millijoules
  EXPECT_EQ(sample->temperature_celsius, 45);
  EXPECT_EQ(sample->clock_hertz, 1.98e9);
  EXPECT_EQ(sample->memory_clock_hertz, 3.201e9);
}

TEST(Nvml, WhatADeviceDoesntSayIsAbsent) {
  const auto sample = Nvml::Open(TERN_FAKE_NVML)->Sample(1);
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->name, "Silent GPU");
  EXPECT_EQ(sample->memory_used, 700u);
  EXPECT_FALSE(sample->utilization || sample->power_watts || sample->energy_joules ||
               sample->temperature_celsius || sample->clock_hertz || sample->memory_clock_hertz);
}

TEST(Nvml, FindsADeviceByItsPlaceOnTheBus) {
  const auto nvml = Nvml::Open(TERN_FAKE_NVML);
  ASSERT_TRUE(nvml);
  EXPECT_EQ(nvml->DeviceAt("0000:1a:00.0"), 1);
  EXPECT_EQ(nvml->DeviceAt("0000:1b:00.0").error().code, Code::kNotFound);
}

TEST(Nvml, FaultsHaveNames) {
  const auto nvml = Nvml::Open(TERN_FAKE_NVML);
  EXPECT_EQ(nvml->Sample(3).error().code, Code::kInvalidArgument);
  EXPECT_EQ(nvml->Sample(-1).error().code, Code::kInvalidArgument);
  EXPECT_EQ(nvml->Sample(2).error().code, Code::kDevice);
  EXPECT_THAT(nvml->Sample(2).error().message, HasSubstr("device 2: GPU is lost"));
  EXPECT_EQ(Nvml::Open("libthere-is-none.so.1").error().code, Code::kNotFound);
  EXPECT_EQ(Nvml::Open("libm.so.6").error().code, Code::kUnsupported);
  const auto broken = Nvml::Open(TERN_BROKEN_NVML);
  EXPECT_EQ(broken.error().code, Code::kDevice);
  EXPECT_THAT(broken.error().message, HasSubstr("Driver Not Loaded"));
}

}  // namespace
}  // namespace tern
