#include "batch/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Csv, FieldsEndAtCommasAndRecordsAtLineBreaks) {
  const CsvRecord lf = ReadCsvRecord("a,b c,\nnext");
  EXPECT_THAT(lf.fields, ElementsAre("a", "b c", ""));
  EXPECT_EQ(lf.size, 7u);
  EXPECT_TRUE(lf.complete);
  const CsvRecord crlf = ReadCsvRecord("a,b\r\nnext");
  EXPECT_THAT(crlf.fields, ElementsAre("a", "b"));
  EXPECT_EQ(crlf.size, 5u);
  EXPECT_TRUE(crlf.complete);
  const CsvRecord last = ReadCsvRecord("a,b");
  EXPECT_THAT(last.fields, ElementsAre("a", "b"));
  EXPECT_FALSE(last.complete);
  EXPECT_THAT(ReadCsvRecord(",").fields, ElementsAre("", ""));
}

TEST(Csv, QuotedFieldsHoldCommasQuotesAndLineBreaks) {
  const std::string_view text = "\"a, b\",\"say \"\"hi\"\"\",\"one\r\ntwo\",\"\"\r\nnext";
  const CsvRecord record = ReadCsvRecord(text);
  EXPECT_THAT(record.fields, ElementsAre("a, b", "say \"hi\"", "one\r\ntwo", ""));
  EXPECT_EQ(text.substr(record.size), "next");
  EXPECT_THAT(ReadCsvRecord("\"a\"").fields, ElementsAre("a"));
}

TEST(Csv, AMistakeCostsOneLineAndNoMore) {
  for (const auto& [text, problem] : std::vector<std::pair<std::string, std::string>>{
           {"a,\"b\" c\nnext,x\n", "behind a quoted field"},
           {"a,b\"c\nnext,x\n", "without quotes"},
           {"a,\"b\nnext,x\n", "no end"}}) {
    const CsvRecord record = ReadCsvRecord(text);
    EXPECT_THAT(record.problem, HasSubstr(problem));
    EXPECT_EQ(record.open, problem == "no end");
    EXPECT_THAT(record.fields, IsEmpty());
    EXPECT_EQ(text.substr(record.size), "next,x\n") << text;
  }
}

TEST(Csv, ALostQuoteDoesNotSwallowAnEndlessFile) {
  const std::string text = "\"a\n" + std::string(2 * kMaxRecordBytes, 'x') + "\"\n";
  const CsvRecord record = ReadCsvRecord(text);
  EXPECT_FALSE(record.problem.empty());
  EXPECT_EQ(record.size, 3u);
}

// Python's csv module reads and writes the same (csv.writer with lineterminator "\n").
TEST(Csv, FieldsAreQuotedWhereTheyNeedIt) {
  const auto quoted = [](std::string_view value) {
    std::string out;
    AppendCsvField(value, out);
    return out;
  };
  EXPECT_EQ(quoted("plain text"), "plain text");
  EXPECT_EQ(quoted("a,b"), "\"a,b\"");
  EXPECT_EQ(quoted("\""), "\"\"\"\"");
  EXPECT_EQ(quoted("a\nb"), "\"a\nb\"");
  EXPECT_EQ(quoted("\r"), "\"\r\"");
}

TEST(Csv, AnyFieldsSurviveARoundTrip) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> fields(1 + random() % 5);
    std::string text;
    for (size_t i = 0; i < fields.size(); ++i) {
      for (size_t n = random() % 8; n > 0; --n) fields[i] += ",\"\n\r ab"[random() % 7];
      if (i > 0) text += ',';
      AppendCsvField(fields[i], text);
    }
    const CsvRecord record = ReadCsvRecord(text + "\nnext");
    ASSERT_EQ(record.fields, fields) << text;
    ASSERT_EQ(record.size, text.size() + 1);
  }
}

}  // namespace
}  // namespace tern
