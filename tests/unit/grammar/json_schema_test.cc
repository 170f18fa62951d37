#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "grammar/grammar.h"
#include "support/grammar_vocabulary.h"
#include "support/json_checker.h"

namespace tern {
namespace {

using nlohmann::json;
using test::GrammarVocabulary;
using ::testing::HasSubstr;

const GrammarVocabulary& Vocabulary() {
  static const GrammarVocabulary vocabulary({"{\"", "\":", "\": ", "\", \"", "\"}", "true", "null",
                                             "]}", "}", "\\u00", "12", "0.5", "},"});
  return vocabulary;
}

struct Case {
  const char* schema;
  std::vector<std::string> valid, invalid;
};

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {R"({"type": "object"})",
       {"{}", R"({"a":1})", "{\n  \"a\": [1, -2.5e3, \"\\u00e9\\n\"],\n  \"b\": {\"c\": null}\n}",
        R"({"":[[],{},[{}]],"é":"\ud83d\ude00"})"},
       {"[]", "1", R"({"a":})", R"({"a" 1})", R"({"a":01})", R"({"a":"\ud800"})",
        "{\"a\":\"\n\"}"}},
      {R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"},
           "c": {"type": "string"}}, "required": ["b"]})",
       {R"({"b":true})", R"({"a": -3, "b": false})", R"({"a":1,"b":true,"c":"x"})"},
       {"{}", R"({"b":true,"a":1})", R"({"a":1})", R"({"b":true,})", R"({"b":true,"d":1})",
        R"({"a":1.5,"b":true})", R"({,"b":true})"}},
      {R"({"properties": {"a": {"type": "null"}, "ab": {"type": "null"}},
           "additionalProperties": {"type": "integer"}})",
       {"{}", R"({"a":null})", R"({"a":null,"ab":null,"abc":1,"b":2})", R"({"":1})", R"({"é":1})"},
       {R"({"a":1})", R"({"ab":1})", R"({"x":null})", R"({"b":1,"ab":2})"}},
      {R"({"type": "object", "required": ["x"], "additionalProperties": {"type": "boolean"}})",
       {R"({"x":true})", R"({"x":true,"y":false})"},
       {"{}", R"({"y":true})"}},
      {R"({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3})",
       {"[1,2]", "[1, 2, 3]"},
       {"[]", "[1]", "[1,2,3,4]", "[1,\"a\"]", "[1,2,]"}},
      {R"({"type": "array", "maxItems": 0})", {"[]"}, {"[1]"}},
      {R"({"type": "array", "maxItems": 2})", {"[]", "[1]", "[1,\"a\"]"}, {"[1,2,3]"}},
      {R"({"prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 1})",
       {"[\"a\"]", "[\"a\", 1]"},
       {"[]", "[1]", "[\"a\",1,2]"}},
      {R"({"prefixItems": [{"type": "string"}], "items": {"type": "integer"}, "minItems": 3,
           "maxItems": 4})",
       {"[\"a\",1,2]", "[\"a\",1,2,3]"},
       {"[\"a\",1]", "[\"a\",1,2,3,4]", "[\"a\",\"b\",1]"}},
      {R"({"enum": ["a\"b", 1, null, {"x": [1, 2]}]})",
       {"\"a\\\"b\"", "1", "null", "{\"x\":[1,2]}"},
       {"2", "\"a\""}},
      {R"({"type": "string", "enum": ["a", 1]})", {"\"a\""}, {"1"}},
      {R"({"const": "é"})", {"\"é\""}, {"\"e\""}},
      {R"({"type": ["string", "null"]})", {"null", "\"\""}, {"1"}},
      {R"({"type": "string", "minLength": 2, "maxLength": 3})",
       {"\"ab\"", "\"é\\n\"", "\"日本語\""},
       {"\"a\"", "\"abcd\""}},
      {R"({"type": "string", "pattern": "^[a-c]+\\d{2,3}(x|y\\.)?$"})",
       {"\"abc12\"", "\"a123y.\""},
       {"\"12\"", "\"a1\"", "\"a12yz\""}},
      {R"({"type": "string", "pattern": "b\"|^c"})",
       {"\"ab\\\"c\"", "\"cd\""},
       {"\"b\"", "\"dc\""}},
      {R"({"type": "string", "format": "date"})", {"\"2024-02-29\""}, {"\"2024-13-01\"", "\"x\""}},
      {R"({"type": "string", "format": "date-time"})",
       {"\"2024-02-29T23:59:59Z\"", "\"2024-02-29T00:00:00.123+02:00\""},
       {"\"2024-02-29\"", "\"2024-02-29T24:00:00Z\""}},
      {R"({"type": "string", "format": "time"})", {"\"12:30:00Z\""}, {"\"12:60:00Z\""}},
      {R"({"type": "string", "format": "uuid"})",
       {"\"123e4567-e89b-12d3-a456-426614174000\""},
       {"\"123e4567\""}},
      {R"({"type": "string", "format": "email", "description": "an annotation"})", {"\"x\""}, {}},
      {R"({"type": "integer", "minimum": -12, "maximum": 105})",
       {"-12", "-9", "0", "7", "99", "100", "105"},
       {"-13", "-20", "106", "110", "1000", "05", "1.0"}},
      {R"({"type": "integer", "exclusiveMinimum": 9, "maximum": 20})", {"10", "20"}, {"9", "21"}},
      {R"({"type": "integer", "minimum": 1})", {"1", "999999"}, {"0", "-1"}},
      {R"({"type": "number", "minimum": 0, "maximum": 1})",
       {"0", "1", "0.75", "1.000"},
       {"1.01", "2", "-0.1"}},
      {R"({"type": "number", "maximum": -2})", {"-2", "-2.5", "-100"}, {"-1.5", "0", "2"}},
      {R"({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "boolean"}}]})",
       {"1", "[true,false]"},
       {"true", "[1]"}},
      {R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
           "anyOf": [{"required": ["a"]}, {"required": ["b"]}]})",
       {R"({"a":1})", R"({"b":1})", R"({"a":1,"b":2})"},
       {"{}"}},
      {R"({"allOf": [{"properties": {"a": {"minimum": 3}}}, {"properties": {"a": {"type": "integer"}},
           "required": ["a"]}, {"$ref": "#/$defs/b"}], "$defs": {"b": {"type": "object"}}})",
       {R"({"a":3})"},
       {"{}", R"({"a":2})"}},
      {R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties":
           {"v": {"type": "integer"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
           "required": ["v"]}}})",
       {R"({"v":1})", R"({"v":1,"kids":[{"v":2,"kids":[]},{"v":3}]})"},
       {R"({"kids":[]})", R"({"v":1,"kids":[1]})"}},
      {R"({"type": "object", "properties": {"next": {"$ref": "#"}}})",
       {"{}", R"({"next":{"next":{}}})"},
       {R"({"next":1})"}},
      {"true", {"1", "{}", "[null]", "\"\"", "-0.5e-3"}, {"", "tru", "nul1"}},
  };
  return cases;
}

GrammarMatcher Start(const std::string& schema) {
  auto grammar = Grammar::FromJsonSchema(schema);
  EXPECT_TRUE(grammar.has_value()) << schema << (grammar ? "" : grammar.error().message);
  return GrammarMatcher(*grammar, Vocabulary().trie);
}

TEST(JsonSchema, ValidDocumentsAreAcceptedInAnyTokens) {
  Rng rng(1);
  for (const Case& row : Cases()) {
    SCOPED_TRACE(row.schema);
    const GrammarMatcher start = Start(row.schema);
    for (const std::string& text : row.valid) {
      ASSERT_TRUE(test::JsonChecker(json::parse(row.schema)).Valid(json::parse(text))) << text;
      for (int i = 0; i < 20; ++i) {
        GrammarMatcher matcher = start;
        for (const TokenId id : RandomTokens(Vocabulary(), text, rng)) {
          std::vector<uint64_t> bits;
          matcher.Allowed(bits);
          const auto at = static_cast<size_t>(id);
          ASSERT_TRUE((bits[at / 64] >> (at % 64) & 1) != 0)
              << text << ": " << Vocabulary().pieces[at];
          ASSERT_TRUE(matcher.Accept(id)) << text << ": " << Vocabulary().pieces[at];
        }
        ASSERT_TRUE(matcher.CanEnd()) << text;
      }
    }
    for (const std::string& text : row.invalid) {
      GrammarMatcher matcher = start;
      EXPECT_FALSE(matcher.AcceptBytes(text) && matcher.CanEnd()) << text;
    }
  }
}

// Whatever the masks let through is a document, and one that the schema accepts.
TEST(JsonSchema, RandomWalksGiveValidDocuments) {
  Rng rng(2);
  size_t complete = 0;
  for (const Case& row : Cases()) {
    SCOPED_TRACE(row.schema);
    const GrammarMatcher start = Start(row.schema);
    const test::JsonChecker checker(json::parse(row.schema));
    for (int walk = 0; walk < 60; ++walk) {
      GrammarMatcher matcher = start;
      std::string text;
      for (int step = 0; step < 400 && !matcher.Finished(); ++step) {
        if (step > 20 && matcher.CanEnd()) break;
        std::vector<uint64_t> bits;
        matcher.Allowed(bits);
        std::vector<TokenId> ids;
        for (size_t id = 0; id < Vocabulary().pieces.size(); ++id)
          if ((bits[id / 64] >> (id % 64) & 1) != 0 && static_cast<TokenId>(id) != Vocabulary().end)
            ids.push_back(static_cast<TokenId>(id));
        ASSERT_FALSE(ids.empty()) << text;
        TokenId id = ids[rng.Next() % ids.size()];
        if (step > 20)  // towards an end
          for (const TokenId closing : {'}', ']', '"'})
            if (matcher.Allows(closing)) id = closing;
        ASSERT_TRUE(matcher.Accept(id)) << text;
        text += Vocabulary().pieces[static_cast<size_t>(id)];
      }
      if (!matcher.CanEnd()) continue;
      ++complete;
      ASSERT_TRUE(json::accept(text)) << text;
      ASSERT_TRUE(checker.Valid(json::parse(text))) << text;
    }
  }
  EXPECT_GT(complete, 60 * Cases().size() / 2);
}

TEST(JsonSchema, AnyJsonObjectIsOneObject) {
  EXPECT_EQ(Grammar::AnyJsonObject(), Grammar::AnyJsonObject());
  GrammarMatcher matcher(Grammar::AnyJsonObject(), Vocabulary().trie);
  EXPECT_TRUE(matcher.AcceptBytes(R"({"a": [1, {"b": false}]})"));
  EXPECT_TRUE(matcher.Finished());
}

TEST(JsonSchema, ErrorsNameThePointer) {
  const auto error = [](std::string_view schema) {
    const auto made = Grammar::FromJsonSchema(schema);
    return made ? std::string("none") : made.error().message;
  };
  EXPECT_THAT(error("{"), HasSubstr("not JSON"));
  EXPECT_THAT(error("3"), HasSubstr("schema: #: found number"));
  EXPECT_THAT(error(R"({"properties": {"a/b": {"not": {}}}})"),
              HasSubstr("#/properties/a~1b/not: this keyword is not supported"));
  EXPECT_THAT(error(R"({"type": "strin"})"), HasSubstr("#/type"));
  EXPECT_THAT(error(R"({"items": [{}]})"), HasSubstr("#/items: found a list"));
  EXPECT_THAT(error(R"({"$ref": "#/$defs/x"})"), HasSubstr("'#/$defs/x' leads nowhere"));
  EXPECT_THAT(error(R"({"$ref": "http://x/y"})"), HasSubstr("#/$ref"));
  EXPECT_THAT(error(R"({"pattern": "(?=a)b"})"), HasSubstr("#/pattern: found '='"));
  EXPECT_THAT(error(R"({"type": "number", "minimum": 0.5})"), HasSubstr("#/minimum"));
  EXPECT_THAT(error(R"({"type": "integer", "minimum": 5, "maximum": 4})"), HasSubstr("no number"));
  EXPECT_THAT(error(R"({"type": "string", "minLength": -1})"), HasSubstr("#/minLength"));
  EXPECT_THAT(error(R"({"allOf": [{"type": "string"}, {"type": "array"}]})"),
              HasSubstr("#/allOf/1/type: contradicts"));
  EXPECT_THAT(error(R"({"allOf": [{"$ref": "#"}]})"), HasSubstr("#"));
  EXPECT_THAT(error(R"({"$ref": "#"})"), HasSubstr("can never end"));
  EXPECT_THAT(error(R"({"properties": {"a": {"$ref": "#"}}, "required": ["a"]})"),
              HasSubstr("can never end"));
  EXPECT_THAT(error(R"({"enum": []})"), HasSubstr("no value"));
  EXPECT_THAT(error(R"({"properties": {"a": false}})"), HasSubstr("#/properties/a"));
  EXPECT_THAT(error(std::string(70, '[') + std::string(70, ']')), HasSubstr("levels"));
}

}  // namespace
}  // namespace tern
