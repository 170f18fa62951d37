#include "server/api_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

ApiRequest Accepted(Endpoint endpoint, const std::string& body) {
  auto request = ParseRequest(endpoint, body);
  EXPECT_TRUE(request) << body << ": " << request.error().message;
  return request ? *request : ApiRequest{};
}

// The error of a completion that has a legal prompt beside the fields.
ApiError Refused(const std::string& fields) {
  const auto request = ParseRequest(Endpoint::kCompletion, R"({"prompt":"a",)" + fields + "}");
  EXPECT_FALSE(request) << fields;
  return request ? ApiError{} : request.error();
}

ApiError RefusedBody(Endpoint endpoint, const std::string& body) {
  const auto request = ParseRequest(endpoint, body);
  EXPECT_FALSE(request) << body;
  return request ? ApiError{} : request.error();
}

TEST(ParseRequest, APromptIsEnoughAndTheRestHasDefaults) {
  const ApiRequest request = Accepted(Endpoint::kCompletion, R"({"prompt":"Once"})");
  EXPECT_EQ(std::get<std::string>(request.prompts.at(0)), "Once");
  EXPECT_EQ(request.generation.max_tokens, 16);
  EXPECT_EQ(request.generation.sampling.temperature, SamplingParams{}.temperature);
  EXPECT_FALSE(request.seed);
  EXPECT_FALSE(request.stream);
  EXPECT_FALSE(request.include_usage);
}

TEST(ParseRequest, ReadsEveryField) {
  const ApiRequest request =
      Accepted(Endpoint::kCompletion,
               R"({"model":"any","prompt":"a","max_tokens":5,"temperature":0,"top_p":0.5,"top_k":7,
          "min_p":0.25,"seed":9,"stop":["x","yz"],"presence_penalty":1,"frequency_penalty":-1.5,
          "stream":true,"stream_options":{"include_usage":true},"n":3,"min_tokens":2,
          "ignore_eos":true,"logprobs":2,"logit_bias":{"5":-100,"7":1.5},"repeat_penalty":1.25,
          "cache_prompt":false,"echo":false})");
  EXPECT_EQ(request.n, 3);
  EXPECT_EQ(request.generation.min_tokens, 2);
  EXPECT_TRUE(request.generation.ignore_eos);
  EXPECT_TRUE(request.logprobs);
  EXPECT_EQ(request.generation.top_logprobs, 2);
  EXPECT_THAT(request.generation.logit_bias, ElementsAre(Pair(5, -100.0f), Pair(7, 1.5f)));
  EXPECT_EQ(request.generation.sampling.repeat_penalty, 1.25f);
  EXPECT_FALSE(request.cache_prompt);
  EXPECT_EQ(request.generation.max_tokens, 5);
  EXPECT_EQ(request.generation.sampling.temperature, 0.0f);
  EXPECT_EQ(request.generation.sampling.top_p, 0.5f);
  EXPECT_EQ(request.generation.sampling.top_k, 7);
  EXPECT_EQ(request.generation.sampling.min_p, 0.25f);
  EXPECT_EQ(request.generation.sampling.presence_penalty, 1.0f);
  EXPECT_EQ(request.generation.sampling.frequency_penalty, -1.5f);
  EXPECT_EQ(request.seed, 9u);
  EXPECT_THAT(request.generation.stop, ElementsAre("x", "yz"));
  EXPECT_TRUE(request.stream);
  EXPECT_TRUE(request.include_usage);
}

TEST(ParseRequest, NullIsAsGoodAsAbsentAndUnknownFieldsAreIgnored) {
  const ApiRequest request =
      Accepted(Endpoint::kCompletion,
               R"({"prompt":"a","max_tokens":null,"stop":null,"seed":null,"user":{"x":[1]}})");
  EXPECT_EQ(request.generation.max_tokens, 16);
  EXPECT_TRUE(request.generation.stop.empty());
}

TEST(ParseRequest, MaxCompletionTokensIsTheNewerNameAndWins) {
  const ApiRequest request =
      Accepted(Endpoint::kChat, R"({"messages":[{"role":"user","content":"a"}],
                                    "max_tokens":3,"max_completion_tokens":4})");
  EXPECT_EQ(request.generation.max_tokens, 4);
}

TEST(ParseRequest, InLlamaServersFormItsOwnNameWins) {
  const char* both = R"({"prompt":"a","max_tokens":3,"n_predict":4})";
  EXPECT_EQ(Accepted(Endpoint::kNative, both).generation.max_tokens, 4);
  EXPECT_EQ(Accepted(Endpoint::kCompletion, both).generation.max_tokens, 3);
}

TEST(ParseRequest, AStopMayBeOneString) {
  EXPECT_THAT(Accepted(Endpoint::kCompletion, R"({"prompt":"a","stop":"\n"})").generation.stop,
              ElementsAre("\n"));
}

TEST(ParseRequest, SeedsOfBothSignsAndAll64BitsAreTaken) {
  const auto seed = [](const std::string& text) {
    return Accepted(Endpoint::kCompletion, R"({"prompt":"a","seed":)" + text + "}").seed;
  };
  EXPECT_EQ(seed("-2"), 18446744073709551614u);
  EXPECT_EQ(seed("-1"), std::nullopt);  // llama-server's word for any
  EXPECT_EQ(seed("18446744073709551615"), 18446744073709551615u);
}

TEST(ParseRequest, MessagesHaveTextsOrTextParts) {
  const ApiRequest request = Accepted(Endpoint::kChat,
                                      R"({"messages":[{"role":"system","content":"s"},
          {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]})");
  ASSERT_EQ(request.messages.size(), 2u);
  EXPECT_EQ(request.messages[0].role, "system");
  EXPECT_EQ(request.messages[0].content, "s");
  EXPECT_EQ(request.messages[1].role, "user");
  EXPECT_EQ(request.messages[1].content, "ab");
}

TEST(ParseRequest, NamesTheFieldOfAWrongTypeOrValue) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("max_tokens":"5")", "max_tokens"},
      {R"("max_tokens":0)", "max_tokens"},
      {R"("max_tokens":1.5)", "max_tokens"},
      {R"("max_tokens":18446744073709551615)", "max_tokens"},
      {R"("temperature":"hot")", "temperature"},
      {R"("temperature":-1)", "temperature"},
      {R"("temperature":1e300)", "temperature"},
      {R"("top_p":2)", "top_p"},
      {R"("min_p":[])", "min_p"},
      {R"("top_k":-2)", "top_k"},
      {R"("top_k":4294967296)", "top_k"},
      {R"("presence_penalty":true)", "presence_penalty"},
      {R"("frequency_penalty":1e9)", "frequency_penalty"},
      {R"("seed":1.5)", "seed"},
      {R"("seed":1e30)", "seed"},
      {R"("stop":5)", "stop"},
      {R"("stop":["a",5])", "stop[1]"},
      {R"("stream":"yes")", "stream"},
      {R"("stream_options":[])", "stream_options"},
      {R"("stream_options":{"include_usage":1})", "stream_options.include_usage"},
      {R"("n":65)", "n"},
      {R"("best_of":2)", "best_of"},
      {R"("suffix":"x")", "suffix"},
      {R"("logprobs":21)", "logprobs"},
      {R"("logprobs":true,"top_logprobs":21)", "top_logprobs"},
      {R"("logprobs":1,"echo":true)", "echo"},
      {R"("logit_bias":5)", "logit_bias"},
      {R"("logit_bias":{"x":1})", "logit_bias"},
      {R"("logit_bias":{"1":101})", "logit_bias.1"},
      {R"("logit_bias":[[1]])", "logit_bias[0]"},
      {R"("min_tokens":-1)", "min_tokens"},
      {R"("ignore_eos":1)", "ignore_eos"},
      {R"("response_format":"json")", "response_format"},
      {R"("response_format":{"type":"xml"})", "response_format.type"},
      {R"("response_format":{"type":"json_schema"})", "response_format.json_schema"},
      {R"("response_format":{"type":"json_schema","json_schema":{}})",
       "response_format.json_schema.schema"},
      {R"("json_schema":{},"grammar":"root ::= \"a\"")", "grammar"},
      {R"("cache_prompt":"yes")", "cache_prompt"},
      {R"("n":0)", "n"},
      {R"("n":"1")", "n"},
  };
  for (const auto& [fields, param] : cases) {
    const ApiError error = Refused(fields);
    EXPECT_EQ(error.status, 400) << fields;
    EXPECT_EQ(error.param, param) << fields;
    EXPECT_THAT(error.message, HasSubstr(param)) << fields;
    EXPECT_THAT(error.message, HasSubstr("expected")) << fields;
  }
}

TEST(ParseRequest, BoundsWhatIsSearchedForInEveryText) {
  std::string list = R"("stop":[)";
  for (int i = 0; i < 17; ++i) list += std::string(i > 0 ? "," : "") + R"("s")";
  EXPECT_EQ(Refused(list + "]").param, "stop");
  EXPECT_EQ(Refused(R"("stop":")" + std::string(257, 's') + '"').param, "stop");
}

TEST(ParseRequest, NamesTheFieldOfAWrongPromptOrMessage) {
  EXPECT_EQ(RefusedBody(Endpoint::kCompletion, "{}").param, "prompt");
  EXPECT_EQ(RefusedBody(Endpoint::kCompletion, R"({"prompt":[["a"]]})").param, "prompt[0][0]");
  EXPECT_EQ(RefusedBody(Endpoint::kCompletion, R"({"prompt":["a",1]})").param, "prompt[1]");
  EXPECT_EQ(RefusedBody(Endpoint::kCompletion, R"({"prompt":[1,-1]})").param, "prompt[1]");
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "messages"},
      {R"({"messages":"hi"})", "messages"},
      {R"({"messages":[]})", "messages"},
      {R"({"messages":["hi"]})", "messages[0]"},
      {R"({"messages":[{"content":"a"}]})", "messages[0].role"},
      {R"({"messages":[{"role":1,"content":"a"}]})", "messages[0].role"},
      {R"({"messages":[{"role":"nobody","content":"a"}]})", "messages[0].role"},
      {R"({"messages":[{"role":"assistant","tool_calls":5}]})", "messages[0].tool_calls"},
      {R"({"messages":[{"role":"assistant","tool_calls":[{}]}]})",
       "messages[0].tool_calls[0].function.name"},
      {R"({"messages":[{"role":"user"}]})", "messages[0].content"},
      {R"({"messages":[{"role":"user","content":1}]})", "messages[0].content"},
      {R"({"messages":[{"role":"user","content":["a"]}]})", "messages[0].content[0]"},
      {R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})",
       "messages[0].content[0]"},
  };
  for (const auto& [body, param] : cases)
    EXPECT_EQ(RefusedBody(Endpoint::kChat, body).param, param) << body;
}

TEST(ParseRequest, RefusesWhatIsNoJsonObjectInUtf8OfBoundedDepth) {
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  for (const std::string& body :
       {std::string(), std::string("{"), std::string("[]"), std::string("\"a\""),
        std::string("{\"prompt\":\"\xff\"}"), std::string(R"({"prompt":"\ud800"})"),
        R"({"prompt":"a","x":)" + deep + "}"}) {
    const ApiError error = RefusedBody(Endpoint::kCompletion, body);
    EXPECT_EQ(error.status, 400);
    EXPECT_EQ(error.param, "");
    EXPECT_THAT(error.message, HasSubstr("the body"));
    EXPECT_TRUE(Json::accept(RenderError(error)));  // whatever bytes it quotes
  }
}

ApiRequest Chat(const std::string& fields) {
  return Accepted(Endpoint::kChat,
                  R"({"messages":[{"role":"user","content":"a"}],)" + fields + "}");
}

ApiError ChatRefused(const std::string& fields) {
  return RefusedBody(Endpoint::kChat,
                     R"({"messages":[{"role":"user","content":"a"}],)" + fields + "}");
}

TEST(ParseRequest, MinusOneMeansAsManyTokensAsFit) {
  constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(Chat(R"("max_tokens":-1)").generation.max_tokens, kUnlimited);
  EXPECT_EQ(
      Accepted(Endpoint::kCompletion, R"({"prompt":"a","n_predict":-1})").generation.max_tokens,
      kUnlimited);
}

TEST(ParseRequest, PromptsMayBeListsAndTokens) {
  const auto prompts = [](const std::string& prompt) {
    return Accepted(Endpoint::kCompletion, R"({"prompt":)" + prompt + "}").prompts;
  };
  EXPECT_EQ(prompts("[1,2]"), (std::vector<Prompt>{std::vector<TokenId>{1, 2}}));
  EXPECT_EQ(prompts(R"(["a","b"])"), (std::vector<Prompt>{"a", "b"}));
  EXPECT_EQ(prompts("[[1],[2,3]]"),
            (std::vector<Prompt>{std::vector<TokenId>{1}, std::vector<TokenId>{2, 3}}));
}

TEST(ParseRequest, BiasesMayBePairsAndFalseMeansNever) {
  const auto bias = Chat(R"("logit_bias":[[3,1],[4,false]])").generation.logit_bias;
  EXPECT_THAT(bias, ElementsAre(Pair(3, 1.0f), Pair(4, -std::numeric_limits<float>::infinity())));
}

TEST(ParseRequest, WhatOpenWebUiAndOthersSendIsTaken) {
  const ApiRequest request = Chat(
      R"("tools":[],"tool_choice":null,"functions":null,"user":"u","store":false,"metadata":{"a":1},
         "session_id":"x","chat_id":"y","id":"z","background_tasks":{"title_generation":true},
         "features":{"web_search":false},"variables":{},"files":[],"parallel_tool_calls":true,
         "service_tier":"auto","modalities":["text"],"reasoning_effort":"low","id_slot":-1,
         "samplers":["top_k"],"dry_multiplier":0,"xtc_probability":0,"typical_p":1,
         "timings_per_token":false,"num_ctx":4096,"keep_alive":"5m","options":{})");
  EXPECT_TRUE(request.tools.empty());
  EXPECT_EQ(Chat(R"("tools":null)").tools.size(), 0u);
}

constexpr const char* kTool =
    R"({"type":"function","function":{"name":"f","parameters":{"type":"object"}}})";

TEST(ParseRequest, ToolsAndTheChoiceAmongThem) {
  const std::string tools = std::string(R"("tools":[)") + kTool + "]";
  EXPECT_EQ(Chat(tools).tools.size(), 1u);
  EXPECT_EQ(Chat(tools).tool_choice.mode, ToolChoice::Mode::kAuto);
  EXPECT_EQ(Chat(tools + R"(,"tool_choice":"none")").tools.size(), 0u);
  EXPECT_EQ(Chat(tools + R"(,"tool_choice":"required")").tool_choice.mode,
            ToolChoice::Mode::kRequired);
  const auto named = Chat(tools + R"(,"tool_choice":{"type":"function","function":{"name":"f"}})");
  EXPECT_EQ(named.tool_choice.mode, ToolChoice::Mode::kNamed);
  EXPECT_EQ(named.tool_choice.name, "f");
  EXPECT_EQ(ChatRefused(tools + R"(,"tool_choice":{"function":{"name":"g"}})").param,
            "tool_choice");
  EXPECT_EQ(ChatRefused(tools + R"(,"tool_choice":"always")").param, "tool_choice");
  EXPECT_EQ(ChatRefused(R"("tool_choice":"required")").param, "tool_choice");
  EXPECT_EQ(ChatRefused(R"("tools":{})").param, "tools");
  EXPECT_EQ(ChatRefused(R"("tools":[{"type":"web"}])").param, "tools[0].type");
  EXPECT_EQ(ChatRefused(R"("tools":[{"type":"function"}])").param, "tools[0].function.name");
}

TEST(ParseRequest, AnAssistantMayOnlyHaveCalledTools) {
  const ApiRequest request =
      Accepted(Endpoint::kChat, R"({"messages":[{"role":"assistant","content":null,"tool_calls":[
        {"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"c","content":"4"}]})");
  EXPECT_EQ(request.messages[0].tool_calls[0]["function"]["name"], "f");
  EXPECT_EQ(request.messages[1].tool_call_id, "c");
}

TEST(ParseRequest, FormatsOfTheTextInAllTheirPlaces) {
  const auto format = [](const std::string& fields) { return Chat(fields).format; };
  EXPECT_EQ(format(R"("response_format":{"type":"text"})").kind, TextFormat::Kind::kNone);
  EXPECT_EQ(format(R"("response_format":{"type":"json_object"})").kind,
            TextFormat::Kind::kJsonObject);
  const TextFormat schema = format(
      R"("response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,
         "schema":{"z":1,"a":2}}})");
  EXPECT_EQ(schema.kind, TextFormat::Kind::kJsonSchema);
  EXPECT_EQ(schema.text, R"({"z":1,"a":2})");  // in its own order
  EXPECT_EQ(schema.field, "response_format.json_schema.schema");
  EXPECT_EQ(format(R"("json_schema":{"type":"object"})").kind, TextFormat::Kind::kJsonSchema);
  EXPECT_EQ(format(R"("grammar":"root ::= \"a\"")").text, R"(root ::= "a")");
}

TEST(ParseRequest, ResponsesHaveTheirOwnForms) {
  const auto accepted = [](const std::string& body) {
    return Accepted(Endpoint::kResponses, body);
  };
  const ApiRequest text =
      accepted(R"({"input":"hi","instructions":"be brief","max_output_tokens":9})");
  ASSERT_EQ(text.messages.size(), 2u);
  EXPECT_EQ(text.messages[0].role, "system");
  EXPECT_EQ(text.messages[1].content, "hi");
  EXPECT_EQ(text.generation.max_tokens, 9);
  const ApiRequest items = accepted(R"({"input":[
      {"role":"user","content":[{"type":"input_text","text":"a"}]},
      {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
      {"type":"function_call_output","call_id":"c","output":"4"},
      {"type":"message","role":"assistant","content":[{"type":"output_text","text":"b"}]}],
      "tools":[{"type":"function","name":"f","parameters":{}}],
      "text":{"format":{"type":"json_schema","name":"n","schema":{}}}})");
  ASSERT_EQ(items.messages.size(), 4u);
  EXPECT_EQ(items.messages[1].tool_calls[0]["id"], "c");
  EXPECT_EQ(items.messages[2].role, "tool");
  EXPECT_EQ(items.messages[3].content, "b");
  EXPECT_EQ(items.tools[0]["function"]["name"], "f");
  EXPECT_EQ(items.format.kind, TextFormat::Kind::kJsonSchema);
  const auto param = [](const std::string& body) {
    return RefusedBody(Endpoint::kResponses, body).param;
  };
  EXPECT_EQ(param("{}"), "input");
  EXPECT_EQ(param(R"({"input":[{"role":"user"}]})"), "input[0].content");
  EXPECT_EQ(param(R"({"input":[{"type":"image"}]})"), "input[0].type");
  EXPECT_EQ(param(R"({"input":"a","previous_response_id":"r"})"), "previous_response_id");
  EXPECT_EQ(param(R"({"input":"a","text":{"format":{"type":"x"}}})"), "text.format.type");
}

TEST(ParseRequest, ObjectsWithTooManyMembersAreRefusedBeforeTheyCostTime) {
  std::string body = R"({"prompt":"a")";
  for (int i = 0; i < 1100; ++i) body += ",\"" + std::to_string(i) + "\":1";
  EXPECT_THAT(RefusedBody(Endpoint::kCompletion, body + "}").message, HasSubstr("members"));
}

}  // namespace
}  // namespace tern
