// The response object of POST /v1/responses and the events of its stream
// (https://platform.openai.com/docs/api-reference/responses-streaming).
#include <fmt/format.h>

#include "server/answer_parts.h"

namespace tern {
namespace {

class ResponsesWriter final : public AnswerWriter {
 public:
  ResponsesWriter(const ApiRequest& request, AnswerContext context, const Tokenizer& tokenizer)
      : request_(request),
        head_(std::move(context.head)),
        tokenizer_(tokenizer),
        choice_(ToolNames(request)) {}

  std::string Feed(size_t, const Event& event) override {
    const size_t calls_before = choice_.calls.size();
    const ToolCallReader::Found found = choice_.Take(event);
    Json logprobs = Json::array();
    for (const TokenEvent& token : event.logprobs)
      logprobs.push_back(LogprobJson(tokenizer_, token));
    logprobs_.insert(logprobs_.end(), logprobs.begin(), logprobs.end());
    if (!request_.stream) return {};
    std::string out = Begin();
    if (!found.content.empty()) {
      out += OpenMessage();
      out += Emit("response.output_text.delta", {{"item_id", MessageId()},
                                                 {"output_index", 0},
                                                 {"content_index", 0},
                                                 {"delta", found.content},
                                                 {"logprobs", std::move(logprobs)}});
    }
    for (size_t i = 0; i < found.calls.size(); ++i) out += StreamCall(calls_before + i);
    return out;
  }

  std::string Finish() override {
    if (!request_.stream) return Dump(Response(Status()));
    std::string out = Begin();
    if (choice_.calls.empty()) out += OpenMessage();
    if (message_open_) out += CloseMessage();
    return out + Emit(fmt::format("response.{}", Status()), {{"response", Response(Status())}});
  }

  std::string Break(const ApiError& error) override {
    return Emit("error", {{"code", error.code.empty() ? Json("server_error") : Json(error.code)},
                          {"message", error.message},
                          {"param", nullptr}});
  }

 private:
  std::string MessageId() const { return "msg_" + head_.id; }
  const char* Status() const {
    const bool cut = std::string_view(FinishReasonJson(choice_.finish)) == "length";
    return cut ? "incomplete" : "completed";
  }

  std::string Emit(std::string_view type, Json members) {
    Json event = {{"type", type}, {"sequence_number", sequence_++}};
    event.update(members);
    return SseEvent(type, Dump(event));
  }

  std::string Begin() {
    if (std::exchange(choice_.begun, true)) return {};
    const Json response = Response("in_progress");
    std::string out = Emit("response.created", {{"response", response}});
    return out + Emit("response.in_progress", {{"response", response}});
  }

  Json Part() const {
    return {{"type", "output_text"},
            {"text", choice_.content},
            {"annotations", Json::array()},
            {"logprobs", logprobs_}};
  }

  Json Message(const char* status, bool with_text) const {
    Json content = Json::array();
    if (with_text) content.push_back(Part());
    return {{"id", MessageId()},
            {"type", "message"},
            {"status", status},
            {"role", "assistant"},
            {"content", std::move(content)}};
  }

  Json Call(size_t index, const char* status) const {
    const ToolCall& call = choice_.calls[index];
    const std::string id = CallId(head_, 0, index);
    return {{"id", "fc_" + id}, {"type", "function_call"}, {"status", status},
            {"call_id", id},    {"name", call.name},       {"arguments", call.arguments}};
  }

  // A message comes first, if there is one.
  size_t OutputIndex(size_t call) const { return call + (has_message_ ? 1 : 0); }

  std::string OpenMessage() {
    if (has_message_) return {};
    has_message_ = message_open_ = true;
    std::string out = Emit("response.output_item.added",
                           {{"output_index", 0}, {"item", Message("in_progress", false)}});
    const Json empty = {{"type", "output_text"},
                        {"text", ""},
                        {"annotations", Json::array()},
                        {"logprobs", Json::array()}};
    return out + Emit("response.content_part.added", {{"item_id", MessageId()},
                                                      {"output_index", 0},
                                                      {"content_index", 0},
                                                      {"part", empty}});
  }

  std::string CloseMessage() {
    message_open_ = false;
    const Json at = {{"item_id", MessageId()}, {"output_index", 0}, {"content_index", 0}};
    Json text = at;
    text["text"] = choice_.content;
    text["logprobs"] = logprobs_;
    std::string out = Emit("response.output_text.done", std::move(text));
    Json part = at;
    part["part"] = Part();
    out += Emit("response.content_part.done", std::move(part));
    return out + Emit("response.output_item.done",
                      {{"output_index", 0}, {"item", Message(Status(), true)}});
  }

  // Arguments come in one piece: a call is known once it has been read to its end.
  std::string StreamCall(size_t index) {
    const ToolCall& call = choice_.calls[index];
    Json begun = Call(index, "in_progress");
    begun["arguments"] = "";
    const size_t output = OutputIndex(index);
    const Json at = {{"item_id", begun["id"]}, {"output_index", output}};
    std::string out =
        Emit("response.output_item.added", {{"output_index", output}, {"item", std::move(begun)}});
    Json delta = at;
    delta["delta"] = call.arguments;
    out += Emit("response.function_call_arguments.delta", std::move(delta));
    Json done = at;
    done["name"] = call.name;
    done["arguments"] = call.arguments;
    out += Emit("response.function_call_arguments.done", std::move(done));
    return out + Emit("response.output_item.done",
                      {{"output_index", output}, {"item", Call(index, "completed")}});
  }

  Json Response(const char* status) const {
    const bool over = std::string_view(status) != "in_progress";
    Json output = Json::array();
    if (over) {
      if (has_message_ || !choice_.content.empty() || choice_.calls.empty())
        output.push_back(Message(status, true));
      for (size_t i = 0; i < choice_.calls.size(); ++i) output.push_back(Call(i, "completed"));
    }
    const SamplingParams& sampling = request_.generation.sampling;
    const bool cut = std::string_view(status) == "incomplete";
    Json response = {
        {"id", head_.id},
        {"object", "response"},
        {"created_at", head_.created},
        {"status", status},
        {"error", nullptr},
        {"incomplete_details", cut ? Json{{"reason", "max_output_tokens"}} : Json()},
        {"instructions", request_.instructions.empty() ? Json() : Json(request_.instructions)},
        {"metadata", request_.metadata},
        {"model", head_.model},
        {"output", std::move(output)},
        {"parallel_tool_calls", true},
        {"temperature", sampling.temperature},
        {"tool_choice", "auto"},
        {"tools", request_.tools},
        {"top_p", sampling.top_p},
        {"usage", nullptr}};
    if (!over) return response;
    const GenerationStats& stats = choice_.stats;
    response["usage"] = {{"input_tokens", stats.prompt_tokens},
                         {"input_tokens_details", {{"cached_tokens", stats.cached_tokens}}},
                         {"output_tokens", stats.generated_tokens},
                         {"output_tokens_details", {{"reasoning_tokens", 0}}},
                         {"total_tokens", stats.prompt_tokens + stats.generated_tokens}};
    response["timings"] = TimingsJson(stats);
    return response;
  }

  const ApiRequest& request_;
  const AnswerHead head_;
  const Tokenizer& tokenizer_;
  ChoiceState choice_;
  Json logprobs_ = Json::array();
  int64_t sequence_ = 0;
  bool has_message_ = false;
  bool message_open_ = false;
};

}  // namespace

std::unique_ptr<AnswerWriter> NewResponsesWriter(const ApiRequest& request, AnswerContext context,
                                                 const Tokenizer& tokenizer) {
  return std::make_unique<ResponsesWriter>(request, std::move(context), tokenizer);
}

}  // namespace tern
