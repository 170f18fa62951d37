#include "batch/prompt_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "batch/csv.h"

namespace tern {
namespace {

using testing::HasSubstr;

class PromptFiles : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content) {
    std::filesystem::create_directories(folder_);
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  ~PromptFiles() override { std::filesystem::remove_all(folder_); }

  std::vector<BatchItem> ReadAll(const std::string& name, const std::string& content) {
    GenerationOptions defaults;
    defaults.sampling.seed = 100;
    auto file = PromptFile::Open(Write(name, content), defaults);
    EXPECT_TRUE(file) << file.error().message;
    std::vector<BatchItem> items;
    while (auto item = file->Next()) items.push_back(*item);
    file->Rewind();
    for (const BatchItem& item : items) {
      const auto again = file->Next();
      EXPECT_EQ(again->key, item.key);
      EXPECT_EQ(again->line, item.line);
      EXPECT_EQ(again->prompt, item.prompt);
    }
    EXPECT_FALSE(file->Next());
    return items;
  }

  std::string ErrorOf(const std::string& name, const std::string& content) {
    const auto file = PromptFile::Open(Write(name, content), {});
    return file ? "" : file.error().message;
  }

  const std::string folder_ = testing::TempDir() + "tern_prompts_" +
                              testing::UnitTest::GetInstance()->current_test_info()->name() +
                              std::to_string(getpid());
};

TEST_F(PromptFiles, ATextFileHasAPromptALine) {
  const auto items = ReadAll("p.txt", "\xef\xbb\xbfOne day\r\n\n  \n Two, \"three\"\nlast");
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[0].prompt, "One day");
  EXPECT_EQ(items[1].prompt, " Two, \"three\"");
  EXPECT_EQ(items[1].line, 4);
  EXPECT_EQ(items[1].index, 1);
  EXPECT_EQ(items[2].prompt, "last");
  EXPECT_EQ(items[2].options.sampling.seed, 102u);
}

TEST_F(PromptFiles, ATableHasNamedColumns) {
  const auto items = ReadAll("p.csv",
                             "id,note,prompt\r\n"
                             "a,x,One\r\n"
                             "\r\n"
                             "b,,\"Two\nlines, \"\"quoted\"\"\"\r\n"
                             "c,y,Three\r\n");
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[0].id, "a");
  EXPECT_EQ(items[0].prompt, "One");
  EXPECT_EQ(items[0].line, 2);
  EXPECT_EQ(items[1].prompt, "Two\nlines, \"quoted\"");
  EXPECT_EQ(items[1].line, 4);
  EXPECT_EQ(items[2].line, 6);
}

TEST_F(PromptFiles, ABadRowIsAnItemWithAnErrorAndTheRestGoesOn) {
  const auto items = ReadAll("p.csv", "prompt,id\nok,1\ntoo,many,fields\na\"b,2\n,3\nfine,4\n");
  ASSERT_EQ(items.size(), 5u);
  EXPECT_FALSE(items[0].error);
  EXPECT_THAT(items[1].error->message, HasSubstr("p.csv: line 3: found 3 fields, expected 2"));
  EXPECT_THAT(items[2].error->message, HasSubstr("line 4: found a quote"));
  EXPECT_THAT(items[3].error->message, HasSubstr("line 5: prompt: found an empty text"));
  EXPECT_EQ(items[3].id, "3");
  EXPECT_EQ(items[4].prompt, "fine");
}

TEST_F(PromptFiles, AnObjectSaysPromptOrMessagesAndItsOwnOptions) {
  const auto items = ReadAll(
      "p.jsonl",
      R"({"prompt": "One\n", "id": "a", "max_tokens": 7, "temperature": 0, "seed": 5, "stop": "x"})"
      "\n"
      R"({"messages": [{"role": "user", "content": "Hi"}], "id": 12, "stop": ["a", "b"], "x": 1})"
      "\n"
      R"({"prompt": "Two", "top_k": 3, "top_p": 0.5, "min_p": 0.25, "repeat_penalty": 2,)"
      R"( "presence_penalty": -1, "frequency_penalty": 1.5, "repeat_last_n": 8,)"
      R"( "ignore_eos": true, "id": null, "min_tokens": 4, "logit_bias": {"7": -2.5, "9": false},)"
      R"( "grammar": "root ::= \"a\""})"
      "\n"
      R"({"prompt": "3", "json_schema": {"type": "object", "properties": {"b": {}, "a": {}}}})"
      "\n"
      R"({"prompt": "4", "json_schema": {"type": "object", "properties": {"b": {}, "a": {}}}})"
      "\n"
      R"({"prompt": "5", "json_schema": {"type": "object", "properties": {"a": {}, "b": {}}}})");
  ASSERT_EQ(items.size(), 6u);
  EXPECT_EQ(items[2].options.min_tokens, 4);
  EXPECT_EQ(items[2].options.logit_bias, (LogitBias{{7, -2.5f}, {9, -INFINITY}}));
  EXPECT_EQ(items[0].options.grammar, nullptr);
  EXPECT_NE(items[2].options.grammar, nullptr);
  EXPECT_EQ(items[3].options.grammar, items[4].options.grammar);  // compiled once
  EXPECT_NE(items[3].options.grammar, items[5].options.grammar);  // the order of members counts
  EXPECT_EQ(items[0].prompt, "One\n");
  EXPECT_EQ(items[0].options.max_tokens, 7);
  EXPECT_EQ(items[0].options.sampling.temperature, 0.0f);
  EXPECT_EQ(items[0].options.sampling.seed, 5u);
  EXPECT_EQ(items[0].options.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(items[1].id, "12");
  ASSERT_EQ(items[1].messages.size(), 1u);
  EXPECT_EQ(items[1].messages[0].role, "user");
  EXPECT_EQ(items[1].messages[0].content, "Hi");
  EXPECT_EQ(items[1].options.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(items[1].options.sampling.seed, 101u);
  const SamplingParams& p = items[2].options.sampling;
  EXPECT_EQ(p.top_k, 3);
  EXPECT_EQ(p.top_p, 0.5f);
  EXPECT_EQ(p.min_p, 0.25f);
  EXPECT_EQ(p.repeat_penalty, 2.0f);
  EXPECT_EQ(p.presence_penalty, -1.0f);
  EXPECT_EQ(p.frequency_penalty, 1.5f);
  EXPECT_EQ(p.repeat_last_n, 8);
  EXPECT_TRUE(items[2].options.ignore_eos);
}

TEST_F(PromptFiles, AMistakeInAnObjectNamesLineAndField) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"prompt": 3})", "p.jsonl: line 2: prompt: found 3, expected a string"},
      {R"({"prompt": )", "p.jsonl: line 2: "},
      {R"(["prompt"])", "line 2: the document: found an array of 1, expected an object"},
      {R"({"text": "x"})", "line 2: prompt: missing"},
      {R"({"prompt": ""})", "line 2: prompt: found an empty text"},
      {R"({"prompt": "a", "messages": []})", "line 2: found prompt and messages"},
      {R"({"messages": []})", "line 2: messages: found an empty one"},
      {R"({"messages": [{"role": "user"}]})", "line 2: messages[0].content: missing"},
      {R"({"messages": ["x"]})", "line 2: messages[0]: found \"x\", expected an object"},
      {R"({"prompt": "a", "max_tokens": 0})", "line 2: max_tokens: found 0"},
      {R"({"prompt": "a", "seed": -1})", "line 2: seed: found -1"},
      {R"({"prompt": "a", "temperature": -1})", "line 2: temperature"},
      {R"({"prompt": "a", "temperature": "hot"})", "line 2: temperature: found \"hot\""},
      {R"({"prompt": "a", "stop": [1]})", "line 2: stop: found number"},
      {R"({"prompt": "a", "id": 1.5})", "line 2: id: found number"},
      {R"({"prompt": "a", "min_tokens": -1})", "line 2: min_tokens: found -1"},
      {R"({"prompt": "a", "logit_bias": [1]})", "line 2: logit_bias: found array"},
      {R"({"prompt": "a", "logit_bias": {"x": 1}})", "line 2: logit_bias: found the key \"x\""},
      {R"({"prompt": "a", "logit_bias": {"1": 101}})", "line 2: logit_bias.1: found 101"},
      {R"({"prompt": "a", "logit_bias": {"1": true}})", "line 2: logit_bias.1: found boolean"},
      {R"({"prompt": "a", "grammar": "x"})", "line 2: grammar: "},
      {R"({"prompt": "a", "json_schema": {"type": 1}})", "line 2: json_schema: "},
      {R"({"prompt": "a", "grammar": "x", "json_schema": {}})", "line 2: grammar: there is json"},
      {R"({"prompt": "a", "prompt": "b"})", "line 2: key 'prompt' occurs twice"},
  };
  for (const auto& [line, message] : cases) {
    const auto items =
        ReadAll("p.jsonl", "{\"prompt\": \"a\"}\n" + std::string(line) + "\n{\"prompt\": \"b\"}");
    ASSERT_EQ(items.size(), 3u) << line;
    EXPECT_FALSE(items[0].error);
    ASSERT_TRUE(items[1].error) << line;
    EXPECT_THAT(items[1].error->message, HasSubstr(message));
    EXPECT_EQ(items[2].prompt, "b");
  }
}

TEST_F(PromptFiles, BytesThatAreNotUtf8AreAnError) {
  const auto items = ReadAll("p.txt", "good\nbad \xff\nend\n");
  ASSERT_EQ(items.size(), 3u);
  EXPECT_THAT(items[1].error->message, HasSubstr("line 2: prompt: byte 4 (0xff) is not UTF-8"));
}

TEST_F(PromptFiles, ALineLongerThanAnyContextIsAnError) {
  const auto items = ReadAll("p.txt", std::string(kMaxRecordBytes + 1, 'x') + "\nend\n");
  ASSERT_EQ(items.size(), 2u);
  EXPECT_THAT(items[0].error->message, HasSubstr("line 1: found 16777217 bytes"));
}

TEST_F(PromptFiles, KeysTellContentsApart) {
  std::set<uint64_t> keys;
  for (const auto& item : ReadAll("p.txt", "a\nb\na \n")) keys.insert(item.key);
  EXPECT_EQ(keys.size(), 3u);
  EXPECT_EQ(ReadAll("a.txt", "x\na\n")[1].key, ReadAll("b.txt", "y\na\r\n")[1].key);
}

TEST_F(PromptFiles, FilesThatAreNoneAreRefused) {
  EXPECT_THAT(ErrorOf("p.json", ""), HasSubstr("expected .txt, .csv or .jsonl"));
  EXPECT_THAT(ErrorOf("p.csv", ""), HasSubstr("empty file, expected a header"));
  EXPECT_THAT(ErrorOf("p.csv", "a,b\n1,2\n"), HasSubstr("line 1: found the columns a, b"));
  EXPECT_THAT(ErrorOf("p.csv", "\"prompt\n1\n"), HasSubstr("line 1: found no end"));
  EXPECT_THAT(PromptFile::Open(folder_ + "/none.txt", {}).error().message, HasSubstr("none.txt"));
  EXPECT_TRUE(ReadAll("p.txt", "").empty());
  EXPECT_TRUE(ReadAll("p.csv", "prompt").empty());
}

}  // namespace
}  // namespace tern
