#include "batch/result_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "batch/csv.h"

namespace tern {
namespace {

using testing::HasSubstr;

constexpr uint64_t kSettings = 0xabc;

class ResultFiles : public testing::TestWithParam<const char*> {
 protected:
  ResultFiles() { std::filesystem::create_directories(folder_); }
  ~ResultFiles() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<ResultFile> Open(uint64_t settings = kSettings) {
    auto file = ResultFile::Open(path_, settings);
    EXPECT_TRUE(file) << file.error().message;
    return file ? std::move(*file) : nullptr;
  }
  std::string OpenError() {
    const auto file = ResultFile::Open(path_, kSettings);
    return file ? "" : file.error().message;
  }
  static BatchItem Item(int64_t line) {
    BatchItem item;
    item.line = line;
    item.key = static_cast<uint64_t>(line) * 77;
    item.id = "id, " + std::to_string(line);
    return item;
  }
  static BatchResult Answer(const std::string& text) {
    return {
        .text = text, .finish = "length", .prompt_tokens = 3, .generated_tokens = 9, .error = {}};
  }
  static BatchResult Failure() {
    BatchResult result;
    result.error = Error{Code::kCorrupt, "p: line 9: \"bad\""};
    return result;
  }
  void AppendOne(const std::string& text) {
    const auto file = Open();
    EXPECT_TRUE(file->Append(Item(1), Answer(text)));
  }
  std::string Content() const {
    std::stringstream content;
    content << std::ifstream(path_, std::ios::binary).rdbuf();
    return content.str();
  }
  void SetContent(const std::string& content) const {
    std::ofstream(path_, std::ios::binary) << content;
  }
  std::string WritePrompts(const std::string& content) const {
    std::ofstream(folder_ + "/p.txt", std::ios::binary) << content;
    return folder_ + "/p.txt";
  }
  bool csv() const { return std::string(GetParam()) == "csv"; }

  const std::string folder_ = testing::TempDir() + "tern_results_" + std::to_string(getpid());
  const std::string path_ = folder_ + "/r." + GetParam();
};

// Texts with everything that could be taken for the end of a record.
const std::string kTexts[] = {"plain", "two\nlines\r\n", "\"quoted\", and\n\"\"", "",
                              "\xc3\xa4 {}"};

TEST_P(ResultFiles, WhatWasWrittenIsKnownAgain) {
  {
    const auto file = Open();
    for (int64_t line = 1; line <= 5; ++line)
      ASSERT_TRUE(file->Append(Item(line), Answer(kTexts[line - 1])));
    ASSERT_TRUE(file->Append(Item(9), Failure()));
    ASSERT_TRUE(file->Sync());
  }
  const std::string content = Content();
  const auto file = Open();
  EXPECT_EQ(file->size(), 6u);
  EXPECT_EQ(file->errors(), 1u);
  EXPECT_EQ(file->cut_bytes(), 0u);
  EXPECT_TRUE(file->Has(Item(5)));
  EXPECT_FALSE(file->Has(Item(6)));
  EXPECT_EQ(Content(), content);
}

TEST_P(ResultFiles, AFileCutAnywhereIsHealedAndGoesOn) {
  std::vector<size_t> ends;
  {
    const auto file = Open();
    ends = {Content().size()};
    for (int64_t line = 1; line <= 5; ++line) {
      ASSERT_TRUE(file->Append(Item(line), Answer(kTexts[line - 1])));
      ends.push_back(Content().size());
    }
  }
  const std::string whole = Content();
  for (size_t size = 0; size <= whole.size(); ++size) {
    SetContent(whole.substr(0, size));
    size_t expected = 0;
    while (expected < 5 && ends[expected + 1] <= size) ++expected;
    const auto file = Open();
    ASSERT_EQ(file->size(), expected) << size;
    for (auto line = static_cast<int64_t>(expected) + 1; line <= 5; ++line)
      ASSERT_TRUE(file->Append(Item(line), Answer(kTexts[line - 1])));
    ASSERT_EQ(Content(), whole) << size;
  }
}

TEST_P(ResultFiles, ZerosBehindTheLastRecordAreCutOff) {
  AppendOne("one");
  const std::string content = Content();
  SetContent(content + std::string(100, '\0'));
  EXPECT_EQ(Open()->cut_bytes(), 100u);
  EXPECT_EQ(Content(), content);
}

TEST_P(ResultFiles, OnlyOneProcessHasIt) {
  const auto file = Open();
  EXPECT_THAT(OpenError(), HasSubstr("another process writes to it"));
}

TEST_P(ResultFiles, AnotherFileIsLeftAlone) {
  for (const std::string content :
       {"my notes", "my notes\n", "{\"text\": 1}\n", "line;id\n", "[1"}) {
    SetContent(content);
    EXPECT_THAT(OpenError(), HasSubstr("expected results of tern batch")) << content;
    EXPECT_EQ(Content(), content);
  }
}

TEST_P(ResultFiles, ARecordThatIsNoneIsRefusedAndKept) {
  AppendOne("one");
  const std::string content = Content();
  const std::string bad = csv() ? "x,y\n" : "{\"line\":2}\n";
  SetContent(content + bad + content.substr(csv() ? content.find('\n') + 1 : 0));
  EXPECT_THAT(OpenError(), HasSubstr("record 2"));
  SetContent(content + content.substr(csv() ? content.find('\n') + 1 : 0));
  EXPECT_THAT(OpenError(), HasSubstr("record 2: found a second answer to line 1"));
}

TEST_P(ResultFiles, AnswersToOtherPromptsOrSettingsAreRefused) {
  const auto fill = [&](const std::string& path) {
    std::filesystem::remove(path_);
    const auto file = Open();
    auto prompts = PromptFile::Open(path, {});
    while (const auto item = prompts->Next()) ASSERT_TRUE(file->Append(*item, Answer("x")));
  };
  const std::string path = WritePrompts("a\nb\nc\n");
  fill(path);
  const auto check = [&](const std::string& content, uint64_t settings) -> std::string {
    const std::string changed = WritePrompts(content);
    auto prompts = PromptFile::Open(changed, {});
    const auto same = Open(settings)->CheckAgainst(*prompts, changed);
    if (same) {
      EXPECT_EQ(prompts->Next()->index, 0);
    }
    return same ? "" : same.error().message;
  };
  EXPECT_EQ(check("a\nb\nc\n", kSettings), "");
  EXPECT_EQ(check("a\nb\nc\nd\n", kSettings), "") << "lines may be added";
  EXPECT_THAT(check("a\nx\nc\n", kSettings), HasSubstr("line 2"));
  EXPECT_THAT(check("a\nb\n", kSettings), HasSubstr("another input"));
  EXPECT_THAT(check("a\nb\nc\n", 1), HasSubstr("another model or other options"));
}

TEST_P(ResultFiles, BytesThatAreNotUtf8BecomeReplacementCharacters) {
  AppendOne(std::string("a\xff\0z", 4));
  if (csv()) {
    EXPECT_THAT(Content(), HasSubstr("a\xef\xbf\xbd\xef\xbf\xbdz"));
  } else {
    EXPECT_THAT(Content(), HasSubstr("a\xef\xbf\xbd\\u0000z"));
  }
  EXPECT_EQ(Open()->size(), 1u);
}

TEST_P(ResultFiles, AFullDiskLeavesWholeRecords) {
  const std::string full = "/dev/full";
  // A device that refuses every write; it can't be locked or cut, but says what went wrong.
  if (!std::filesystem::exists(full)) GTEST_SKIP();
  std::filesystem::create_symlink(full, path_);
  const auto file = ResultFile::Open(path_, kSettings);
  if (!file) {
    EXPECT_THAT(file.error().message, HasSubstr(path_));
    return;
  }
  const Status written = (*file)->Append(Item(1), Answer("x"));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kResourceExhausted);
  EXPECT_EQ((*file)->size(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Formats, ResultFiles, testing::Values("jsonl", "csv"),
                         [](const auto& format) { return std::string(format.param); });

TEST(ResultFile, TheNameSaysTheFormat) {
  EXPECT_THAT(ResultFile::Open("r.txt", 0).error().message, HasSubstr("expected .csv or .jsonl"));
  EXPECT_THAT(ResultFile::Open("r.json", 0).error().message, HasSubstr("r.json"));
  EXPECT_FALSE(std::filesystem::exists("r.txt"));
}

}  // namespace
}  // namespace tern
