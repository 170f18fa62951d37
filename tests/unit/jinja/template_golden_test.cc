// Against Python's jinja2, set up as the transformers library does it: golden.json is written by
// tools/make_template_goldens.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "jinja/template.h"
#include "support/shared_data.h"

namespace tern::jinja {
namespace {

using nlohmann::ordered_json;

std::filesystem::path Folder() { return std::filesystem::path(TERN_TEST_DATA) / "templates"; }

const ordered_json& Golden() {
  static const ordered_json golden = ordered_json::parse(test::ReadFile(Folder() / "golden.json"));
  return golden;
}

std::tm GoldenTime() {
  std::tm time = {};
  time.tm_year = 125;
  time.tm_mon = 2;
  time.tm_mday = 7;
  time.tm_hour = 9;
  time.tm_min = 5;
  time.tm_sec = 2;
  time.tm_wday = 5;
  time.tm_yday = 65;
  return time;
}

Environment With(const ordered_json& variables, Origin origin) {
  Environment environment;
  environment.now = GoldenTime();
  for (const auto& [name, value] : variables.items())
    environment.variables[name] = *FromJson(value, origin);
  return environment;
}

Result<Text> Render(const std::string& source, const Environment& environment) {
  TERN_ASSIGN_OR_RETURN(const Template parsed, Template::Parse(source));
  return parsed.Render(environment);
}

/// What jinja2 said against what we say, as text.
std::string Expected(const ordered_json& golden) {
  if (golden.contains("text")) return golden["text"];
  return golden.contains("raised") ? "raised: " + golden["raised"].get<std::string>() : "fails";
}

std::string Found(const Result<Text>& result) {
  if (result) return result->bytes();
  const std::string& message = result.error().message;
  EXPECT_TRUE(message.starts_with("line ")) << message;
  if (result.error().code != Code::kInvalidArgument) return "fails";
  return "raised: " + message.substr(message.find(": ") + 2);
}

TEST(TemplateGolden, Snippets) {
  for (const ordered_json& snippet : Golden()["snippets"]) {
    const std::string source = snippet["source"];
    const auto result = Render(source, With(Golden()["context"], Origin::kData));
    EXPECT_EQ(Found(result), Expected(snippet)) << source << "\n"
                                                << (result ? "" : result.error().message);
  }
}

TEST(TemplateGolden, Conversations) {
  ASSERT_GT(Golden()["cases"].size(), 200u);
  for (const ordered_json& golden : Golden()["cases"]) {
    const std::string file = golden["template"];
    ordered_json variables = golden["options"];
    variables["messages"] = Golden()["talks"][golden["talk"].get<std::string>()];
    variables["bos_token"] = Golden()["bos"];
    variables["eos_token"] = Golden()["eos"];
    if (golden["tools"]) variables["tools"] = Golden()["tools"];
    const auto result = Render(test::ReadFile(Folder() / file), With(variables, Origin::kTemplate));
    EXPECT_EQ(Found(result), Expected(golden))
        << file << " with " << golden["talk"] << " " << golden["options"] << golden["tools"] << "\n"
        << (result ? "" : result.error().message);
  }
}

}  // namespace
}  // namespace tern::jinja
