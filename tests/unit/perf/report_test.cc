#include "perf/report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

namespace tern {
namespace {

const std::vector<Record> kRecords = {
    {"pp4",
     2.5,
     {{"test", "pp4"}, {"n", int64_t{4}}, {"rate", 2.5}, {"samples", std::vector{2.0, 3.0}}}},
    {"a \"b\" 'c',",
     NAN,
     {{"test", "a \"b\" 'c',"},
      {"n", int64_t{-1}},
      {"rate", NAN},
      {"samples", std::vector<double>{}}}},
};

TEST(Report, JsonIsAnArrayOfTheRows) {
  const auto json = nlohmann::json::parse(FormatRecords(kRecords, ReportFormat::kJson, "t"));
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(json[0]["test"], "pp4");
  EXPECT_EQ(json[0]["n"], 4);
  EXPECT_EQ(json[0]["rate"], 2.5);
  EXPECT_EQ(json[0]["samples"], (std::vector{2.0, 3.0}));
  EXPECT_EQ(json[1]["test"], "a \"b\" 'c',");
  EXPECT_TRUE(json[1]["rate"].is_null());
}

TEST(Report, JsonLinesAreTheSameObjects) {
  const auto json = nlohmann::json::parse(FormatRecords(kRecords, ReportFormat::kJson, "t"));
  std::istringstream lines(FormatRecords(kRecords, ReportFormat::kJsonl, "t"));
  std::string line;
  for (const auto& object : json) {
    ASSERT_TRUE(std::getline(lines, line));
    EXPECT_EQ(nlohmann::json::parse(line), object);
  }
  EXPECT_FALSE(std::getline(lines, line));
}

TEST(Report, CsvQuotesEveryValueAndDoublesQuotes) {
  EXPECT_EQ(FormatRecords(kRecords, ReportFormat::kCsv, "t"),
            "test,n,rate,samples\n"
            "\"pp4\",\"4\",\"2.5\",\"[2.0,3.0]\"\n"
            "\"a \"\"b\"\" 'c',\",\"-1\",\"\",\"[]\"\n");
}

TEST(Report, SqlCreatesTheTableAndFillsIt) {
  EXPECT_EQ(FormatRecords(kRecords, ReportFormat::kSql, "t"),
            "CREATE TABLE IF NOT EXISTS t (test TEXT,n INTEGER,rate REAL,samples TEXT);\n"
            "INSERT INTO t (test,n,rate,samples) VALUES ('pp4',4,2.5,'[2.0,3.0]');\n"
            "INSERT INTO t (test,n,rate,samples) VALUES ('a \"b\" ''c'',',-1,NULL,'[]');\n");
}

TEST(Report, WithoutRowsThereIsNothingToRead) {
  EXPECT_EQ(FormatRecords({}, ReportFormat::kCsv, "t"), "");
  EXPECT_EQ(FormatRecords({}, ReportFormat::kSql, "t"), "");
  EXPECT_EQ(FormatRecords({}, ReportFormat::kJson, "t"), "[]\n");
}

}  // namespace
}  // namespace tern
