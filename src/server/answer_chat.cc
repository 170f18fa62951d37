// chat.completion and chat.completion.chunk.
#include "server/answer_parts.h"

namespace tern {
namespace {

class ChatWriter final : public AnswerWriter {
 public:
  ChatWriter(const ApiRequest& request, AnswerContext context, const Tokenizer& tokenizer)
      : request_(request), head_(std::move(context.head)), tokenizer_(tokenizer) {
    const size_t n = static_cast<size_t>(request.n);
    choices_.assign(n, ChoiceState(ToolNames(request)));
    logprobs_.assign(n, Json::array());
  }

  std::string Feed(size_t index, const Event& event) override {
    ChoiceState& choice = choices_[index];
    const size_t calls_before = choice.calls.size();
    const ToolCallReader::Found found = choice.Take(event);
    Json logprobs = Json::array();
    for (const TokenEvent& token : event.logprobs) {
      Json json = LogprobJson(tokenizer_, token);
      if (request_.stream)
        logprobs.push_back(std::move(json));
      else
        logprobs_[index].push_back(std::move(json));
    }
    if (!request_.stream) return {};
    std::string out;
    if (!std::exchange(choice.begun, true))
      out += Chunk(index, {{"role", "assistant"}, {"content", ""}}, nullptr);
    if (!found.content.empty() || !logprobs.empty())
      out += Chunk(index, {{"content", found.content}}, nullptr, std::move(logprobs));
    for (size_t i = 0; i < found.calls.size(); ++i) {
      const size_t number = calls_before + i;
      Json call =
          ToolCallJson(found.calls[i], CallId(head_, index, number), static_cast<int>(number));
      out += Chunk(index, {{"tool_calls", Json::array({std::move(call)})}}, nullptr);
    }
    if (event.finish) out += Chunk(index, Json::object(), FinishOf(choice));
    return out;
  }

  std::string Finish() override {
    if (!request_.stream) return Whole();
    std::string out;
    Json end = Head("chat.completion.chunk");
    end["choices"] = Json::array();
    if (request_.include_usage) end["usage"] = UsageJson(UsageOf(choices_, request_.n));
    end["timings"] = TimingsJson(choices_[0].stats);
    // Clients that didn't ask for usage know no chunk without a choice.
    if (request_.include_usage) out += SseEvent(Dump(end));
    return out + SseEvent("[DONE]");
  }

  std::string Break(const ApiError& error) override { return SseEvent(RenderError(error)); }

 private:
  Json Head(const char* object) const {
    return {
        {"id", head_.id}, {"object", object}, {"created", head_.created}, {"model", head_.model}};
  }

  static Json FinishOf(const ChoiceState& choice) {
    return choice.calls.empty() ? FinishReasonJson(choice.finish) : "tool_calls";
  }

  Json Logprobs(Json content) const {
    if (!request_.logprobs) return nullptr;
    return {{"content", std::move(content)}, {"refusal", nullptr}};
  }

  std::string Chunk(size_t index, Json delta, Json finish, Json logprobs = Json::array()) const {
    const bool last = !finish.is_null();
    Json choice = {{"index", index}, {"delta", std::move(delta)}};
    choice["logprobs"] = logprobs.empty() ? Json(nullptr) : Logprobs(std::move(logprobs));
    choice["finish_reason"] = std::move(finish);
    Json chunk = Head("chat.completion.chunk");
    chunk["choices"] = Json::array({std::move(choice)});
    if (request_.include_usage) chunk["usage"] = nullptr;
    if (last) chunk["timings"] = TimingsJson(choices_[index].stats);
    return SseEvent(Dump(chunk));
  }

  std::string Whole() {
    Json answer = Head("chat.completion");
    Json list = Json::array();
    for (size_t i = 0; i < choices_.size(); ++i) {
      const ChoiceState& choice = choices_[i];
      Json message = {{"role", "assistant"}, {"content", choice.content}, {"refusal", nullptr}};
      if (!choice.calls.empty()) {
        if (choice.content.empty()) message["content"] = nullptr;
        Json calls = Json::array();
        for (size_t k = 0; k < choice.calls.size(); ++k)
          calls.push_back(ToolCallJson(choice.calls[k], CallId(head_, i, k), -1));
        message["tool_calls"] = std::move(calls);
      }
      list.push_back({{"index", i},
                      {"message", std::move(message)},
                      {"logprobs", Logprobs(std::move(logprobs_[i]))},
                      {"finish_reason", FinishOf(choice)}});
    }
    answer["choices"] = std::move(list);
    answer["usage"] = UsageJson(UsageOf(choices_, request_.n));
    answer["timings"] = TimingsJson(choices_[0].stats);
    return Dump(answer);
  }

  const ApiRequest& request_;
  const AnswerHead head_;
  const Tokenizer& tokenizer_;
  std::vector<ChoiceState> choices_;
  std::vector<Json> logprobs_;
};

}  // namespace

std::unique_ptr<AnswerWriter> NewChatWriter(const ApiRequest& request, AnswerContext context,
                                            const Tokenizer& tokenizer) {
  return std::make_unique<ChatWriter>(request, std::move(context), tokenizer);
}

}  // namespace tern
