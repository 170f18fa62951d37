#include "formats/metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace tern {
namespace {

using ::testing::ElementsAre;

Metadata Example() {
  Metadata m;
  m.Set("int", int64_t{7});
  m.Set("huge", std::numeric_limits<uint64_t>::max());
  m.Set("float", 0.5);
  m.Set("bool", true);
  m.Set("text", std::string("two\nlines and more text than a message should show at once"));
  m.Set("ints", std::vector<int64_t>{1, 2});
  m.Set("floats", std::vector<double>{0.5, 1.5});
  m.Set("texts", std::vector<std::string>{"a", "b"});
  m.Set("bools", std::vector<bool>{true});
  return m;
}

TEST(Metadata, GettersReturnWhatWasSet) {
  const Metadata m = Example();
  EXPECT_EQ(m.Int("int"), 7);
  EXPECT_EQ(m.Float("float"), 0.5);
  EXPECT_EQ(m.Bool("bool"), true);
  EXPECT_EQ(m.Strings("texts"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(m.Ints("ints"), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(m.Floats("floats"), (std::vector<double>{0.5, 1.5}));
  EXPECT_TRUE(m.Has("int"));
  EXPECT_FALSE(m.Has("in"));
  EXPECT_EQ(m.Find("nothing"), nullptr);
}

TEST(Metadata, IntegersServeAsFloatsButNotTheOtherWayRound) {
  const Metadata m = Example();
  EXPECT_EQ(m.Float("int"), 7.0);
  EXPECT_EQ(m.Float("huge"), 18446744073709551616.0);
  EXPECT_EQ(m.Floats("ints"), (std::vector<double>{1, 2}));
  EXPECT_FALSE(m.Int("float"));
  EXPECT_FALSE(m.Int("bool"));
  EXPECT_FALSE(m.Ints("floats"));
}

TEST(Metadata, AnAbsentKeyIsNotFoundAndTheFallbackServes) {
  const Metadata m = Example();
  const auto missing = m.Int("nothing");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_EQ(missing.error().message, "metadata key 'nothing' is missing");
  EXPECT_EQ(m.IntOr("nothing", 3), 3);
  EXPECT_EQ(m.FloatOr("nothing", 0.25), 0.25);
  EXPECT_EQ(m.BoolOr("nothing", true), true);
  EXPECT_EQ(m.StringOr("nothing", "x"), "x");
}

TEST(Metadata, AKeyOfAnotherKindIsAnErrorEvenWithAFallback) {
  const Metadata m = Example();
  for (const auto& error : {m.IntOr("text", 3).error(), m.Int("text").error()}) {
    EXPECT_EQ(error.code, Code::kCorrupt);
    EXPECT_EQ(
        error.message,
        "metadata key 'text' holds the string 'two\\x0alines and more text than a message s...', "
        "expected an integer");
  }
  EXPECT_EQ(m.Int("huge").error().message,
            "metadata key 'huge' holds the integer 18446744073709551615, expected at most "
            "9223372036854775807");
  EXPECT_EQ(m.String("bools").error().message,
            "metadata key 'bools' holds an array of 1 booleans, expected a string");
  EXPECT_EQ(m.Strings("ints").error().message,
            "metadata key 'ints' holds an array of 2 integers, expected an array of strings");
  EXPECT_EQ(m.BoolOr("int", true).error().message,
            "metadata key 'int' holds the integer 7, expected true or false");
}

}  // namespace
}  // namespace tern
