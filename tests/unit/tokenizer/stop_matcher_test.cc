#include "tokenizer/stop_matcher.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

TEST(StopMatcher, TextThatMayBeginAStopStringIsHeldBack) {
  StopMatcher matcher({"STOP"});
  EXPECT_EQ(matcher.Feed("go S"), "go ");
  EXPECT_EQ(matcher.Feed("T"), "");
  EXPECT_EQ(matcher.Feed("art"), "STart");
  EXPECT_EQ(matcher.match(), std::nullopt);
  EXPECT_EQ(matcher.Finish(), "");
}

TEST(StopMatcher, AMatchAcrossPortionsEndsTheText) {
  StopMatcher matcher({"\nUser:"});
  EXPECT_EQ(matcher.Feed("Hello\nUs"), "Hello");
  EXPECT_EQ(matcher.Feed("er: hi"), "");
  EXPECT_EQ(matcher.match(), "\nUser:");
  EXPECT_EQ(matcher.Feed("more"), "");
  EXPECT_EQ(matcher.Finish(), "");
}

TEST(StopMatcher, TheFirstToBeginWinsEvenWhenAnotherEndsEarlier) {
  StopMatcher matcher({"bc", "abcd"});
  EXPECT_EQ(matcher.Feed("xabc"), "x");
  EXPECT_EQ(matcher.match(), std::nullopt);
  EXPECT_EQ(matcher.Feed("d"), "");
  EXPECT_EQ(matcher.match(), "abcd");
}

TEST(StopMatcher, TheOtherMatchCountsWhenTheFirstFails) {
  StopMatcher matcher({"bc", "abcd"});
  EXPECT_EQ(matcher.Feed("xabc"), "x");
  EXPECT_EQ(matcher.Feed("e"), "a");
  EXPECT_EQ(matcher.match(), "bc");
}

TEST(StopMatcher, AtTheEndACompleteStopStringCountsAndTheRestIsFlushed) {
  StopMatcher complete({"bc", "abcd"});
  EXPECT_EQ(complete.Feed("xabc"), "x");
  EXPECT_EQ(complete.Finish(), "a");
  EXPECT_EQ(complete.match(), "bc");
  StopMatcher partial({"STOP"});
  EXPECT_EQ(partial.Feed("go STO"), "go ");
  EXPECT_EQ(partial.Finish(), "STO");
  EXPECT_EQ(partial.match(), std::nullopt);
}

TEST(StopMatcher, OfThoseThatBeginTogetherTheShortestCounts) {
  StopMatcher matcher({"abc", "ab"});
  EXPECT_EQ(matcher.Feed("xabc"), "x");
  EXPECT_EQ(matcher.match(), "ab");
}

TEST(StopMatcher, WithoutStopStringsEverythingPasses) {
  StopMatcher matcher({"", ""});
  EXPECT_EQ(matcher.Feed("text"), "text");
  EXPECT_EQ(matcher.Feed(""), "");
  EXPECT_EQ(matcher.Finish(), "");
}

}  // namespace
}  // namespace tern
