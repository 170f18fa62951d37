// From events to JSON, with events written by hand.
#include "server/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/small_tokenizers.h"

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The objects of server-sent events; [DONE] becomes null.
std::vector<Json> Objects(const std::string& events) {
  std::vector<Json> out;
  for (size_t at = 0; (at = events.find("data: ", at)) != std::string::npos; ++at) {
    const std::string data = events.substr(at + 6, events.find("\n\n", at) - at - 6);
    out.push_back(data == "[DONE]" ? Json() : Json::parse(data));
  }
  return out;
}

class Answers : public testing::Test {
 protected:
  std::unique_ptr<AnswerWriter> Writer(Endpoint endpoint, const std::string& fields) {
    const char* input = endpoint == Endpoint::kChat
                            ? R"("messages":[{"role":"user","content":"a"}])"
                        : endpoint == Endpoint::kResponses ? R"("input":"a")"
                                                           : R"("prompt":"a")";
    auto parsed = ParseRequest(endpoint, fmt::format("{{{}{}}}", input, fields));
    EXPECT_TRUE(parsed) << parsed.error().message;
    request_ = *std::move(parsed);
    return NewAnswerWriter(request_, {.head = {"id-1", 7, "m"}, .prompts = {"a"}}, *tokenizer_);
  }

  static Event Text(std::string text, int index = 0) {
    return {.index = index, .text = std::move(text)};
  }
  static Event End(FinishReason reason, int index = 0) {
    Event event{.index = index};
    event.finish = reason;
    event.stats = {.prompt_tokens = 4,
                   .cached_tokens = 1,
                   .generated_tokens = 3,
                   .prefill_seconds = 2,
                   .decode_seconds = 4};
    return event;
  }

  const std::unique_ptr<Tokenizer> tokenizer_ = *Tokenizer::Create(test::SmallByteBpe());
  ApiRequest request_;
};

TEST_F(Answers, OfACompletion) {
  const auto writer = Writer(Endpoint::kCompletion, "");
  EXPECT_EQ(writer->Feed(0, Text("b\n")), "");
  EXPECT_EQ(writer->Feed(0, Text("\"c\"")), "");
  writer->Feed(0, End(FinishReason::kLength));
  const Json answer = Json::parse(writer->Finish());
  EXPECT_EQ(answer["choices"], Json::parse(R"([{"index":0,"text":"b\n\"c\"","logprobs":null,
                                                "finish_reason":"length"}])"));
  EXPECT_EQ(answer["usage"], Json::parse(R"({"prompt_tokens":4,"completion_tokens":3,
      "total_tokens":7,"prompt_tokens_details":{"cached_tokens":1}})"));
  const Json& timings = answer["timings"];
  EXPECT_EQ(timings["cache_n"], 1);
  EXPECT_EQ(timings["prompt_n"], 3);
  EXPECT_EQ(timings["prompt_ms"], 2000.0);
  EXPECT_EQ(timings["prompt_per_second"], 1.5);
  EXPECT_EQ(timings["predicted_n"], 3);
  EXPECT_EQ(timings["predicted_per_token_ms"], 2000.0);  // the first came with the prompt
  EXPECT_FALSE(timings.contains("draft_n"));
}

TEST_F(Answers, OfAChatInAStream) {
  const auto writer =
      Writer(Endpoint::kChat, R"(,"stream":true,"stream_options":{"include_usage":true})");
  const auto first = Objects(writer->Feed(0, Text("b")));
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0]["object"], "chat.completion.chunk");
  EXPECT_EQ(first[0]["choices"],
            Json::parse(R"([{"index":0,"delta":{"role":"assistant","content":""},
                                                  "logprobs":null,"finish_reason":null}])"));
  EXPECT_EQ(first[1]["choices"][0]["delta"], Json::parse(R"({"content":"b"})"));
  EXPECT_TRUE(first[1].contains("usage") && first[1]["usage"].is_null());
  EXPECT_EQ(writer->Feed(0, Text("")), "");
  const auto end = Objects(writer->Feed(0, End(FinishReason::kEndOfText)));
  ASSERT_EQ(end.size(), 1u);
  EXPECT_EQ(end[0]["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(end[0]["timings"]["predicted_n"], 3);
  const auto rest = Objects(writer->Finish());
  ASSERT_EQ(rest.size(), 2u);
  EXPECT_EQ(rest[0]["choices"], Json::array());
  EXPECT_EQ(rest[0]["usage"]["total_tokens"], 7);
  EXPECT_TRUE(rest[1].is_null());
}

TEST_F(Answers, ChoicesAreKeptApartAndPromptsCountOnce) {
  const auto writer = Writer(Endpoint::kChat, R"(,"n":2)");
  writer->Feed(1, Text("second"));
  writer->Feed(0, Text("first"));
  writer->Feed(1, End(FinishReason::kStopString));
  writer->Feed(0, End(FinishReason::kContext));
  const Json answer = Json::parse(writer->Finish());
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "first");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(answer["choices"][1]["message"]["content"], "second");
  EXPECT_EQ(answer["choices"][1]["finish_reason"], "stop");
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 4);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 6);
}

constexpr const char* kTools = R"(,"tools":[{"type":"function","function":{"name":"f"}}])";
constexpr const char* kCall =
    "Wait.<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":1}}</tool_call>";

TEST_F(Answers, CallsOfTools) {
  const auto writer = Writer(Endpoint::kChat, kTools);
  writer->Feed(0, Text(kCall));
  writer->Feed(0, End(FinishReason::kEndOfText));
  const Json choice = Json::parse(writer->Finish())["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_EQ(choice["message"]["content"], "Wait.");
  const Json& call = choice["message"]["tool_calls"][0];
  EXPECT_EQ(call["type"], "function");
  EXPECT_EQ(call["function"], Json::parse(R"({"name":"f","arguments":"{\"x\":1}"})"));
  EXPECT_FALSE(call["id"].get<std::string>().empty());
}

TEST_F(Answers, CallsOfToolsInAStream) {
  const auto writer = Writer(Endpoint::kChat, std::string(kTools) + R"(,"stream":true)");
  auto chunks = Objects(writer->Feed(0, Text(kCall)));
  ASSERT_EQ(chunks.size(), 3u);
  EXPECT_EQ(chunks[1]["choices"][0]["delta"]["content"], "Wait.");
  EXPECT_EQ(chunks[2]["choices"][0]["delta"]["tool_calls"][0]["index"], 0);
  chunks = Objects(writer->Feed(0, End(FinishReason::kEndOfText)));
  EXPECT_EQ(chunks[0]["choices"][0]["finish_reason"], "tool_calls");
}

TEST_F(Answers, LogprobsNeverHoldWhatJsonCannot) {
  const auto writer = Writer(Endpoint::kChat, R"(,"logprobs":true,"top_logprobs":1)");
  Event event = Text("h");
  event.logprobs = {{'h', -0.5f, {{0xff, -std::numeric_limits<float>::infinity()}}}};
  writer->Feed(0, event);
  writer->Feed(0, End(FinishReason::kEndOfText));
  const Json token = Json::parse(writer->Finish())["choices"][0]["logprobs"]["content"][0];
  EXPECT_EQ(token["token"], "h");
  EXPECT_EQ(token["bytes"], Json::parse("[104]"));
  EXPECT_EQ(token["top_logprobs"][0]["bytes"], Json::parse("[255]"));
  EXPECT_EQ(token["top_logprobs"][0]["logprob"], -9999.0);
}

TEST_F(Answers, BytesThatAreNoUtf8DoNotBreakTheJson) {
  const auto writer = Writer(Endpoint::kChat, "");
  writer->Feed(0, Text("a\xff"));
  writer->Feed(0, End(FinishReason::kEndOfText));
  EXPECT_EQ(Json::parse(writer->Finish())["choices"][0]["message"]["content"], "a\xEF\xBF\xBD");
}

TEST_F(Answers, AResponseThatCallsATool) {
  const auto writer =
      Writer(Endpoint::kResponses, R"(,"stream":true,"tools":[{"type":"function","name":"f"}])");
  std::vector<std::string> types;
  std::string events = writer->Feed(0, Text("<tool_call>{\"name\":\"f\"}</tool_call>"));
  events += writer->Feed(0, End(FinishReason::kEndOfText));
  events += writer->Finish();
  const auto objects = Objects(events);
  for (const Json& object : objects) types.push_back(object["type"]);
  EXPECT_THAT(
      types,
      ElementsAre("response.created", "response.in_progress", "response.output_item.added",
                  "response.function_call_arguments.delta", "response.function_call_arguments.done",
                  "response.output_item.done", "response.completed"));
  const Json& output = objects.back()["response"]["output"];
  ASSERT_EQ(output.size(), 1u);
  EXPECT_EQ(output[0]["type"], "function_call");
  EXPECT_EQ(output[0]["arguments"], "{}");
}

TEST_F(Answers, OfLlamaServersFormSayWhichStringEndedThem) {
  const auto writer = Writer(Endpoint::kNative, R"(,"stream":true,"stop":["x"],"seed":4)");
  const auto parts = Objects(writer->Feed(0, Text("b\n")));
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0]["stop"], false);
  EXPECT_EQ(parts[0]["id_slot"], -1);
  EXPECT_FALSE(parts[0].contains("generation_settings"));
  Event end = End(FinishReason::kStopString);
  end.stop = "x";
  const Json last = Objects(writer->Feed(0, end)).at(0);
  EXPECT_EQ(last["stop_type"], "word");
  EXPECT_EQ(last["stopping_word"], "x");
  EXPECT_EQ(last["has_new_line"], true);
  EXPECT_EQ(last["truncated"], false);
  EXPECT_EQ(last["generation_settings"]["stop"], Json::parse(R"(["x"])"));
  EXPECT_EQ(last["generation_settings"]["n_predict"], -1);
}

TEST_F(Answers, OfLlamaServersFormSayThatTheContextWasFull) {
  const auto writer = Writer(Endpoint::kNative, "");
  writer->Feed(0, End(FinishReason::kContext));
  const Json answer = Json::parse(writer->Finish());
  EXPECT_EQ(answer["truncated"], true);
  EXPECT_EQ(answer["stop_type"], "limit");
  EXPECT_EQ(answer["stopping_word"], "");
  EXPECT_EQ(answer["has_new_line"], false);
}

TEST_F(Answers, AFailureInAStreamIsAnEvent) {
  const auto writer = Writer(Endpoint::kChat, R"(,"stream":true)");
  const auto objects = Objects(writer->Break({503, "the server is stopping"}));
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects[0]["error"]["type"], "unavailable_error");
}

TEST(RenderError, IsOpenAisObject) {
  EXPECT_EQ(Json::parse(RenderError({400, "m", "n"})),
            Json::parse(R"({"error":{"message":"m","type":"invalid_request_error","param":"n",
                            "code":null}})"));
  EXPECT_THAT(RenderError({429, "m\xff", "", "c"}), HasSubstr("rate_limit_error"));
}

}  // namespace
}  // namespace tern
