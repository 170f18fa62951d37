#include "engine/channel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace tern {
namespace {

TEST(Channel, SaysWhenItIsFullAndWhenThereIsSpaceAgain) {
  int space = 0;
  Channel channel({.capacity = 4}, [&] { ++space; });
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(channel.Push({.index = i}));
  EXPECT_FALSE(channel.Push({.index = 3}));
  EXPECT_FALSE(channel.Push({.index = 4}));  // what was on its way
  for (int i = 0; i < 2; ++i) EXPECT_EQ(channel.TryPop()->index, i);
  EXPECT_EQ(space, 0);
  EXPECT_EQ(channel.TryPop()->index, 2);  // half is free
  EXPECT_EQ(space, 1);
  EXPECT_TRUE(channel.Push({.index = 5}));
}

TEST(Channel, EndsAfterTheLastEventOfEveryAnswer) {
  Channel channel({.capacity = 4, .answers = 2}, [] {});
  channel.Push({.index = 0, .finish = FinishReason::kLength});
  channel.Push({.index = 1});
  channel.Push({.index = 1, .error = Error{Code::kDevice, "gone"}});
  EXPECT_TRUE(channel.Pop());
  EXPECT_TRUE(channel.Pop());
  EXPECT_FALSE(channel.Finished());
  EXPECT_TRUE(channel.Pop());
  EXPECT_TRUE(channel.Finished());
  EXPECT_FALSE(channel.Pop());
  EXPECT_FALSE(channel.TryPop());
}

TEST(Channel, WakesItsReader) {
  Channel channel({.capacity = 4}, [] {});
  int wakes = 0;
  channel.Push({});
  channel.OnReady([&] { ++wakes; });
  EXPECT_EQ(wakes, 1);
  channel.Push({});
  EXPECT_EQ(wakes, 2);
  channel.OnReady({});
  channel.Push({});
  EXPECT_EQ(wakes, 2);
}

TEST(Channel, InBulkItWakesForHalfOfTheCapacityAndForAnEnd) {
  Channel channel({.capacity = 8, .answers = 2, .bulk = true}, [] {});
  int wakes = 0;
  channel.OnReady([&] { ++wakes; });
  for (int i = 0; i < 3; ++i) channel.Push({});
  EXPECT_EQ(wakes, 0);
  channel.Push({});
  EXPECT_EQ(wakes, 1);
  while (channel.TryPop()) {
  }
  channel.Push({});
  EXPECT_EQ(wakes, 1);
  channel.Push({.index = 1, .finish = FinishReason::kLength});
  EXPECT_EQ(wakes, 2);
  while (channel.TryPop()) {
  }
  channel.Push({});
  EXPECT_EQ(wakes, 2);
}

// Both readers would wait for ever if they were not woken.
TEST(Channel, ASleepingReaderInBulkIsWoken) {
  Channel channel({.capacity = 8, .bulk = true}, [] {});
  std::thread reader([&] {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(channel.Pop()->index, i);
    EXPECT_FALSE(channel.Pop());
  });
  for (int i = 0; i < 4; ++i) channel.Push({.index = i});
  channel.Push({.index = 4, .finish = FinishReason::kLength});
  reader.join();
}

TEST(Channel, ASingleEventReachesAReaderWhoWasJustWoken) {
  Channel channel({.capacity = 32}, [] {});
  std::atomic<int> taken = 0;
  std::thread reader([&] {
    while (channel.Pop()) {
      ++taken;
      taken.notify_one();
    }
  });
  for (int i = 0; i < 4; ++i) {
    channel.Push({.index = i});
    taken.wait(i);  // no further event comes before this one was read
  }
  channel.Push({.finish = FinishReason::kLength});
  reader.join();
  EXPECT_EQ(taken, 5);
}

TEST(Channel, AWriterAndAReaderOnThreadsOfTheirOwn) {
  constexpr int kEvents = 2000;
  std::atomic<int> space = 0;
  Channel channel({.capacity = 8}, [&] { ++space; });
  std::thread writer([&] {
    for (int i = 0; i < kEvents; ++i) {
      Event event{.index = i};
      if (i + 1 == kEvents) event.finish = FinishReason::kLength;
      channel.Push(std::move(event));
    }
  });
  int next = 0;
  while (const auto event = channel.Pop()) EXPECT_EQ(event->index, next++);
  writer.join();
  EXPECT_EQ(next, kEvents);
}

}  // namespace
}  // namespace tern
