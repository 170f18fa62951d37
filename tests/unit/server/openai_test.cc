#include "server/openai.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace tern {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

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
  EXPECT_EQ(request.prompt, "Once");
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
          "stream":true,"stream_options":{"include_usage":true},"n":1})");
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

TEST(ParseRequest, AStopMayBeOneString) {
  EXPECT_THAT(Accepted(Endpoint::kCompletion, R"({"prompt":"a","stop":"\n"})").generation.stop,
              ElementsAre("\n"));
}

TEST(ParseRequest, SeedsOfBothSignsAndAll64BitsAreTaken) {
  const auto seed = [](const std::string& text) {
    return Accepted(Endpoint::kCompletion, R"({"prompt":"a","seed":)" + text + "}").seed;
  };
  EXPECT_EQ(seed("-1"), 18446744073709551615u);
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
      {R"("top_k":-1)", "top_k"},
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
      {R"("n":2)", "n"},
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
  EXPECT_EQ(RefusedBody(Endpoint::kCompletion, R"({"prompt":["a"]})").param, "prompt");
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "messages"},
      {R"({"messages":"hi"})", "messages"},
      {R"({"messages":[]})", "messages"},
      {R"({"messages":["hi"]})", "messages[0]"},
      {R"({"messages":[{"content":"a"}]})", "messages[0].role"},
      {R"({"messages":[{"role":1,"content":"a"}]})", "messages[0].role"},
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
    EXPECT_TRUE(json::accept(RenderError(error)));  // whatever bytes it quotes
  }
}

TEST(RenderError, IsOpenAisObject) {
  EXPECT_EQ(json::parse(RenderError({400, "m", "n"})),
            json::parse(R"({"error":{"message":"m","type":"invalid_request_error","param":"n",
                            "code":null}})"));
  EXPECT_EQ(json::parse(RenderError({429, "m", "", "c"})),
            json::parse(R"({"error":{"message":"m","type":"rate_limit_error","param":null,
                            "code":"c"}})"));
  EXPECT_EQ(json::parse(RenderError({503, "m"}))["error"]["type"], "server_error");
}

class Rendering : public testing::Test {
 protected:
  Rendering() {
    result_.text = "b\n\"c\"";
    result_.finish = FinishReason::kLength;
    result_.stats = {.prompt_tokens = 4,
                     .cached_tokens = 0,
                     .generated_tokens = 3,
                     .prefill_seconds = 2,
                     .decode_seconds = 4};
  }

  const AnswerHead completion_{Endpoint::kCompletion, "cmpl-1", 7, "m"};
  const AnswerHead chat_{Endpoint::kChat, "chatcmpl-1", 7, "m"};
  GenerationResult result_;
};

TEST_F(Rendering, OfAWholeCompletion) {
  EXPECT_EQ(json::parse(RenderAnswer(completion_, result_)),
            json::parse(R"({"id":"cmpl-1","object":"text_completion","created":7,"model":"m",
                "choices":[{"index":0,"text":"b\n\"c\"","finish_reason":"length"}],
                "usage":{"prompt_tokens":4,"completion_tokens":3,"total_tokens":7},
                "timings":{"prompt_per_second":2.0,"predicted_per_second":0.5}})"));
}

TEST_F(Rendering, OfAWholeChatAnswer) {
  result_.finish = FinishReason::kEndOfText;
  const json answer = json::parse(RenderAnswer(chat_, result_));
  EXPECT_EQ(answer["object"], "chat.completion");
  EXPECT_EQ(answer["choices"],
            json::parse(R"([{"index":0,"message":{"role":"assistant","content":"b\n\"c\""},
                             "finish_reason":"stop"}])"));
}

TEST_F(Rendering, OfTheStreamOfAChat) {
  EXPECT_EQ(json::parse(RenderOpening(chat_)),
            json::parse(R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,
                "model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},
                "finish_reason":null}]})"));
  EXPECT_EQ(json::parse(RenderText(chat_, "x"))["choices"],
            json::parse(R"([{"index":0,"delta":{"content":"x"},"finish_reason":null}])"));
  const json end = json::parse(RenderEnd(chat_, result_));
  EXPECT_EQ(end["choices"], json::parse(R"([{"index":0,"delta":{},"finish_reason":"length"}])"));
  EXPECT_EQ(end["timings"]["predicted_per_second"], 0.5);
  const json usage = json::parse(RenderUsage(chat_, result_));
  EXPECT_EQ(usage["choices"], json::array());
  EXPECT_EQ(usage["usage"]["total_tokens"], 7);
}

TEST_F(Rendering, OfTheStreamOfACompletion) {
  const json text = json::parse(RenderText(completion_, "x"));
  EXPECT_EQ(text["object"], "text_completion");
  EXPECT_EQ(text["choices"], json::parse(R"([{"index":0,"text":"x","finish_reason":null}])"));
  EXPECT_EQ(json::parse(RenderEnd(completion_, result_))["choices"],
            json::parse(R"([{"index":0,"text":"","finish_reason":"length"}])"));
}

TEST_F(Rendering, TellsEndsOfTheModelAndOfTheLimitApart) {
  const auto reason = [this](FinishReason finish) {
    result_.finish = finish;
    return json::parse(RenderAnswer(chat_, result_))["choices"][0]["finish_reason"];
  };
  EXPECT_EQ(reason(FinishReason::kEndOfText), "stop");
  EXPECT_EQ(reason(FinishReason::kStopString), "stop");
  EXPECT_EQ(reason(FinishReason::kLength), "length");
  EXPECT_EQ(reason(FinishReason::kContext), "length");
}

TEST_F(Rendering, BytesThatAreNoUtf8DoNotBreakTheJson) {
  result_.text = "a\xff";
  EXPECT_EQ(json::parse(RenderAnswer(chat_, result_))["choices"][0]["message"]["content"],
            "a\xEF\xBF\xBD");
}

TEST(RenderModels, ListsTheOne) {
  EXPECT_EQ(json::parse(RenderModels("m", 7)),
            json::parse(R"({"object":"list","data":[{"id":"m","object":"model","created":7,
                            "owned_by":"tern"}]})"));
}

TEST(SseEvent, IsOneLineOfDataAndAnEmptyOne) { EXPECT_EQ(SseEvent("{}"), "data: {}\n\n"); }

}  // namespace
}  // namespace tern
