#include "jinja/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tern::jinja {
namespace {

using testing::HasSubstr;

Result<Text> Render(const std::string& source, const Limits& limits = {}) {
  TERN_ASSIGN_OR_RETURN(const Template parsed, Template::Parse(source));
  Environment environment;
  environment.limits = limits;
  environment.variables["data"] = MakeText({"data", Origin::kData});
  return parsed.Render(environment);
}

Error ErrorOf(const std::string& source, const Limits& limits = {}) {
  const auto result = Render(source, limits);
  return result ? Error{Code::kInternal, "no error: " + result->bytes().substr(0, 80)}
                : result.error();
}

TEST(Template, ErrorsNameTheLineAndTheConstruct) {
  const auto message = [](const std::string& source) { return ErrorOf(source).message; };
  EXPECT_THAT(message("a\n{% include 'x' %}"),
              "line 2: the statement \"include\" is not supported");
  EXPECT_THAT(message("\n\n{{ 1 | batch(2) }}"), "line 3: the filter \"batch\" is not supported");
  EXPECT_THAT(message("{{ 1 is filter }}"), "line 1: the test \"filter\" is not supported");
  EXPECT_THAT(message("{% for x in [] recursive %}"), "line 1: a recursive loop is not supported");
  EXPECT_THAT(message("{{ 'a' % 1 }}"), HasSubstr("line 1: formatting of a string with %"));
  EXPECT_THAT(message("{% if 1 %}\n{{ f(*x) }}"), HasSubstr("line 2: *arguments in a call"));
  EXPECT_THAT(message("{{ a.b.c }}"), "line 1: 'a' is undefined");
  EXPECT_THAT(message("{{ {}.b.c }}"), "line 1: 'b' is undefined");
  EXPECT_THAT(message("{% if 1 %}"), HasSubstr("found the end of the template, expected 'endif'"));
  EXPECT_THAT(message("{{ 1 2 }}"), "line 1: found \"2\", expected '}}'");
  EXPECT_THAT(message("{% for x in 5 %}{% endfor %}"), "line 1: an integer can't be iterated");
  EXPECT_THAT(message("{{ 9223372036854775807 + 1 }}"), HasSubstr("64 bits"));
}

TEST(Template, CodesTellApartWhoIsToBlame) {
  EXPECT_EQ(ErrorOf("{{ raise_exception('no') }}").code, Code::kInvalidArgument);
  EXPECT_EQ(ErrorOf("{% import 'x' as y %}").code, Code::kUnsupported);
  EXPECT_EQ(ErrorOf("{{ 1 + 'a' }}").code, Code::kCorrupt);
}

TEST(Template, OriginsFollowTheBytes) {
  const auto text = Render("a{{ data.upper() }}{{ 'b' ~ data[1:3] ~ 5 }}");
  ASSERT_TRUE(text);
  ASSERT_EQ(text->bytes(), "aDATAbat5");
  std::string origins;
  for (size_t i = 0; i < text->size(); ++i) origins += text->origin(i) == Origin::kData ? 'd' : 't';
  EXPECT_EQ(origins, "tddddtddt");
}

TEST(Template, NothingGrowsWithoutBound) {
  const Limits small{.work = 100000, .output = 1000};
  for (const char* source : {
           "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
           "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% "
           "endfor %}",
           "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% "
           "endfor %}",
           "{{ 'x' * 9223372036854775807 }}",
           "{{ [0] * 9223372036854775807 }}",
           "{{ range(100001) }}",
           "{% for i in range(2000) %}x{% endfor %}",
           "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
           "{% macro f(x) %}{{ f([x]) }}{% endmacro %}{{ f(1) }}",
           "{% set ns = namespace(s=[]) %}{% for i in range(2000) %}{% set ns.s = [ns.s] %}{% "
           "endfor %}",
           "{% set ns = namespace(s={}) %}{% for i in range(2000) %}{% set ns.s = {'a': ns.s.get} "
           "%}{% endfor %}",
           "{{ ('x' * 20000).replace('', 'y' * 20000) }}",
       })
    EXPECT_EQ(ErrorOf(source, small).code, Code::kResourceExhausted)
        << source << ": " << ErrorOf(source, small).message;
  // A namespace may hold itself: nothing follows it around.
  EXPECT_TRUE(
      Render("{% set ns = namespace() %}{% set ns.me = [ns] %}{{ ns }}{{ ns == ns.me[0] }}"));
}

TEST(Template, NestingIsBounded) {
  const auto nested = [](const std::string& open, const std::string& middle,
                         const std::string& close, int levels) {
    std::string source;
    for (int i = 0; i < levels; ++i) source += open;
    source += middle;
    for (int i = 0; i < levels; ++i) source += close;
    return source;
  };
  EXPECT_TRUE(Render("{{ " + nested("(", "1", ")", 30) + " }}"));
  EXPECT_TRUE(Render(nested("{% if 1 %}", "x", "{% endif %}", 30)));
  for (const std::string& source :
       {"{{ " + nested("(", "1", ")", 100000) + " }}", "{{ " + nested("[", "", "]", 100000) + " }}",
        "{{ " + nested("not ", "1", "", 100000) + " }}",
        "{{ " + nested("-", "1", "", 100000) + " }}",
        "{{ 1" + nested("", "", " + 1", 100000) + " }}",
        "{{ 1" + nested("", "", ".a", 100000) + " }}",
        "{{ 1" + nested("", "", "|string", 100000) + " }}",
        "{{ 1" + nested("", "", " if 1", 100000) + " }}",
        nested("{% if 1 %}", "x", "{% endif %}", 20000),
        nested("{% for x in y %}", "x", "{% endfor %}", 20000)})
    EXPECT_EQ(ErrorOf(source).code, Code::kResourceExhausted) << source.substr(0, 40);
  EXPECT_EQ(ErrorOf(std::string(Template::kMaxBytes + 1, 'x')).code, Code::kResourceExhausted);
}

TEST(Template, MentionsNamesOfExpressionsAlone) {
  const auto parsed =
      Template::Parse("tools {% for x in y if a %}{{ f(b=c | default(d)) }}{% endfor %}");
  ASSERT_TRUE(parsed);
  for (const char* name : {"y", "a", "f", "c", "d"}) EXPECT_TRUE(parsed->Mentions(name)) << name;
  for (const char* name : {"tools", "b", "default", "x"})
    EXPECT_FALSE(parsed->Mentions(name)) << name;
}

}  // namespace
}  // namespace tern::jinja
