#include "server/tool_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Outcome {
  std::string content;
  std::vector<ToolCall> calls;
};

// The text in portions of `size` bytes.
Outcome Read(const std::string& text, size_t size, std::vector<std::string> tools = {"f", "g"}) {
  ToolCallReader reader(std::move(tools));
  Outcome outcome;
  const auto add = [&outcome](const ToolCallReader::Found& found) {
    outcome.content += found.content;
    outcome.calls.insert(outcome.calls.end(), found.calls.begin(), found.calls.end());
  };
  for (size_t i = 0; i < text.size(); i += size) add(reader.Feed(text.substr(i, size)));
  add(reader.Finish());
  EXPECT_EQ(reader.called(), !outcome.calls.empty());
  return outcome;
}

// However the text is cut.
void Expect(const std::string& text, const std::string& content,
            const std::vector<ToolCall>& calls) {
  for (size_t size = 1; size <= text.size(); ++size) {
    const Outcome outcome = Read(text, size);
    EXPECT_EQ(outcome.content, content) << text << " in portions of " << size;
    EXPECT_EQ(outcome.calls, calls) << text << " in portions of " << size;
  }
}

TEST(ToolCallReader, PlainTextStaysWhatItIs) {
  Expect("Hello <b>you</b> <tool", "Hello <b>you</b> <tool", {});
  Expect(" \n text", " \n text", {});
}

TEST(ToolCallReader, ReadsHermesCallsAndTheTextBefore) {
  Expect(
      "I look.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"z\": 1, \"a\": "
      "\"<\"}}\n</tool_call>",
      "I look.\n", {{"f", R"({"z":1,"a":"<"})"}});
  Expect(
      "\n<tool_call>{\"name\":\"f\"}</tool_call>\n<tool_call>{\"name\":\"g\",\"arguments\":{}}</"
      "tool_call>\n",
      "", {{"f", "{}"}, {"g", "{}"}});
}

TEST(ToolCallReader, TheLastClosingTagMayBeMissing) {
  Expect("<tool_call>{\"name\":\"f\",\"arguments\":{}}", "", {{"f", "{}"}});
}

TEST(ToolCallReader, ReadsLlamaCallsOfItsOwnTools) {
  Expect(R"({"name": "f", "parameters": {"q": "a}b\""}})", "", {{"f", R"({"q":"a}b\""})"}});
  Expect(R"({"name":"f","parameters":{}}; {"name":"g","parameters":{}})", "",
         {{"f", "{}"}, {"g", "{}"}});
}

TEST(ToolCallReader, OtherJsonIsText) {
  for (const char* text : {R"({"name": "other", "parameters": {}})", R"({"a": 1})",
                           R"({"name": "f")", R"({"name":"f"} and more)", R"({"name":5})"})
    Expect(text, text, {});
}

TEST(ToolCallReader, WhatIsNoCallBetweenTheTagsIsText) {
  Expect("<tool_call>no JSON</tool_call> b", "<tool_call>no JSON</tool_call> b", {});
  Expect("<tool_call>{\"name\":", "<tool_call>{\"name\":", {});
}

TEST(ToolCallReader, WithoutToolsNothingIsACall) {
  const std::string text = "<tool_call>{\"name\":\"f\"}</tool_call>";
  const Outcome outcome = Read(text, 3, {});
  EXPECT_EQ(outcome.content, text);
  EXPECT_THAT(outcome.calls, IsEmpty());
}

TEST(ToolCallReader, TextIsGivenOutAsSoonAsItIsCertain) {
  ToolCallReader reader({"f"});
  EXPECT_EQ(reader.Feed("Hello").content, "Hello");
  EXPECT_EQ(reader.Feed(" <to").content, " ");
  EXPECT_EQ(reader.Feed("y>").content, "<toy>");
}

}  // namespace
}  // namespace tern
