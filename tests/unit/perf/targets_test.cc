#include "perf/targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::vector<Record> kRecords = {
    {"pp512", 100, {{"test", "pp512"}, {"p99_ms", 9.5}, {"threads", int64_t{2}}}},
    {"tg128", 20, {{"test", "tg128"}, {"p99_ms", 51.0}, {"threads", int64_t{2}}}},
};

std::vector<std::string> Missed(std::string_view json) {
  const auto targets = ParseTargets(json, "t.json");
  EXPECT_TRUE(targets) << targets.error().message;
  return targets ? MissedTargets(kRecords, *targets) : std::vector<std::string>{"?"};
}

TEST(Targets, ABoundThatIsReachedExactlyIsMet) {
  EXPECT_THAT(Missed(R"({"pp512": {"min_rate": 100, "max_p99_ms": 9.5}})"), IsEmpty());
  EXPECT_THAT(Missed(R"({"tg128": {"min_threads": 2, "max_threads": 2}})"), IsEmpty());
  EXPECT_THAT(Missed("{}"), IsEmpty());
}

TEST(Targets, EachMissNamesRowFieldValueAndBound) {
  EXPECT_THAT(Missed(R"({"tg128": {"min_rate": 20.5, "max_p99_ms": 50}})"),
              ElementsAre("tg128: p99_ms is 51, wanted at most 50",
                          "tg128: rate is 20, wanted at least 20.5"));
}

TEST(Targets, AStarHoldsEveryRow) {
  EXPECT_THAT(Missed(R"({"*": {"max_p99_ms": 10}})"),
              ElementsAre("tg128: p99_ms is 51, wanted at most 10"));
}

TEST(Targets, ATargetThatNoRowIsHeldToIsMissed) {
  EXPECT_THAT(Missed(R"({"pp128": {"min_rate": 1}})"), ElementsAre(HasSubstr("pp128")));
  EXPECT_THAT(Missed(R"({"pp512": {"min_speed": 1}})"), ElementsAre(HasSubstr("speed")));
  EXPECT_THAT(Missed(R"({"pp512": {"min_test": 1}})"), ElementsAre(HasSubstr("test")));
}

TEST(Targets, AnotherFormIsRefusedWithItsPlace) {
  const auto message = [](std::string_view json) {
    const auto targets = ParseTargets(json, "t.json");
    EXPECT_FALSE(targets) << json;
    return targets ? "" : targets.error().message;
  };
  EXPECT_THAT(message("{"), HasSubstr("t.json"));
  EXPECT_THAT(message("[]"), HasSubstr("t.json"));
  EXPECT_THAT(message(R"({"a": 1})"), HasSubstr("t.json: row 'a'"));
  EXPECT_THAT(message(R"({"a": {"rate": 1}})"), HasSubstr("'rate'"));
  EXPECT_THAT(message(R"({"a": {"min_": 1}})"), HasSubstr("'min_'"));
  EXPECT_THAT(message(R"({"a": {"min_rate": "1"}})"), HasSubstr("string"));
}

TEST(Targets, TheProductsOwn) {
  EXPECT_FALSE(TargetPreset("targets.json"));
  const auto targets = TargetPreset("product");
  ASSERT_TRUE(targets);
  const std::vector<Record> records = {
      {"bitlinear [1,768]x768",
       300000,
       {{"p50_ms", 0.9}, {"p95_ms", 2.5}, {"p99_ms", 5.0}, {"memory_mb", 49.0}}},
      {"public API", 1, {{"overhead_percent", 4.0}}}};
  const auto outcomes = JudgeTargets(records, *targets);
  ASSERT_EQ(outcomes.size(), 7u);
  for (const TargetOutcome& o : outcomes) {
    const TargetState expected = o.target.field == "p95_ms" ? TargetState::kMissed
                                 : o.row == "gpu"           ? TargetState::kAbsent
                                                            : TargetState::kMet;
    EXPECT_EQ(o.state, expected) << o.row << " " << o.target.field;
  }
  const std::string table = DisplayTargets(outcomes);
  EXPECT_THAT(table,
              HasSubstr("| bitlinear [1,768]x768 | rate | at least 300000 | 300000 | met |"));
  EXPECT_THAT(table, HasSubstr("| p95_ms | at most 2 | 2.5 | MISSED |"));
  EXPECT_THAT(table, HasSubstr("| gpu | utilisation_percent | at least 80 |  | absent |"));
}

}  // namespace
}  // namespace tern
