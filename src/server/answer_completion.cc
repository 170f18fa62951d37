// text_completion.
#include <algorithm>
#include <cmath>

#include "server/answer_parts.h"

namespace tern {
namespace {

int64_t Characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

// OpenAI's older form: parallel lists.
struct Lists {
  Json tokens = Json::array(), token_logprobs = Json::array(), top_logprobs = Json::array(),
       text_offset = Json::array();

  Json Take() {
    return {{"tokens", std::move(tokens)},
            {"token_logprobs", std::move(token_logprobs)},
            {"top_logprobs", std::move(top_logprobs)},
            {"text_offset", std::move(text_offset)}};
  }
};

class CompletionWriter final : public AnswerWriter {
 public:
  CompletionWriter(const ApiRequest& request, AnswerContext context, const Tokenizer& tokenizer)
      : request_(request), context_(std::move(context)), tokenizer_(tokenizer) {
    const size_t count = request.prompts.size() * static_cast<size_t>(request.n);
    choices_.assign(count, ChoiceState({}));
    lists_.resize(count);
    offsets_.assign(count, 0);
  }

  std::string Feed(size_t index, const Event& event) override {
    ChoiceState& choice = choices_[index];
    std::string text = choice.Take(event).content;
    if (!std::exchange(choice.begun, true) && request_.echo) {
      const std::string& prompt = context_.prompts[index / static_cast<size_t>(request_.n)];
      text.insert(0, prompt);
      choice.content.insert(0, prompt);
    }
    for (const TokenEvent& token : event.logprobs) Add(index, token);
    if (!request_.stream) return {};
    std::string out;
    if (!text.empty() || !lists_[index].tokens.empty()) out += Chunk(index, text, nullptr);
    if (event.finish) out += Chunk(index, "", FinishReasonJson(*event.finish));
    return out;
  }

  std::string Finish() override {
    if (!request_.stream) return Whole();
    std::string out;
    if (request_.include_usage) {
      Json end = Head();
      end["choices"] = Json::array();
      end["usage"] = UsageJson(UsageOf(choices_, request_.n));
      end["timings"] = TimingsJson(choices_[0].stats);
      out += SseEvent(Dump(end));
    }
    return out + SseEvent("[DONE]");
  }

  std::string Break(const ApiError& error) override { return SseEvent(RenderError(error)); }

 private:
  Json Head() const {
    const AnswerHead& head = context_.head;
    return {{"id", head.id},
            {"object", "text_completion"},
            {"created", head.created},
            {"model", head.model}};
  }

  void Add(size_t index, const TokenEvent& token) {
    Lists& lists = lists_[index];
    const Json own = LogprobJson(tokenizer_, token.id, token.logprob);
    lists.tokens.push_back(own["token"]);
    lists.token_logprobs.push_back(own["logprob"]);
    Json top = Json::object();
    for (const TokenLogprob& other : token.top) {
      const Json json = LogprobJson(tokenizer_, other.id, other.logprob);
      top[json["token"].get<std::string>()] = json["logprob"];
    }
    lists.top_logprobs.push_back(top.empty() ? Json(nullptr) : std::move(top));
    lists.text_offset.push_back(offsets_[index]);
    offsets_[index] += Characters(tokenizer_.Piece(token.id));
  }

  Json Choice(size_t index, std::string_view text, Json finish) {
    Json logprobs;
    if (request_.logprobs) logprobs = std::exchange(lists_[index], Lists()).Take();
    return {{"index", index},
            {"text", text},
            {"logprobs", std::move(logprobs)},
            {"finish_reason", std::move(finish)}};
  }

  std::string Chunk(size_t index, std::string_view text, Json finish) {
    const bool last = !finish.is_null();
    Json chunk = Head();
    chunk["choices"] = Json::array({Choice(index, text, std::move(finish))});
    if (request_.include_usage) chunk["usage"] = nullptr;
    if (last) chunk["timings"] = TimingsJson(choices_[index].stats);
    return SseEvent(Dump(chunk));
  }

  std::string Whole() {
    Json list = Json::array();
    for (size_t i = 0; i < choices_.size(); ++i)
      list.push_back(Choice(i, choices_[i].content, FinishReasonJson(choices_[i].finish)));
    Json answer = Head();
    answer["choices"] = std::move(list);
    answer["usage"] = UsageJson(UsageOf(choices_, request_.n));
    answer["timings"] = TimingsJson(choices_[0].stats);
    return Dump(answer);
  }

  const ApiRequest& request_;
  const AnswerContext context_;
  const Tokenizer& tokenizer_;
  std::vector<ChoiceState> choices_;
  std::vector<Lists> lists_;      // of each choice, not yet sent
  std::vector<int64_t> offsets_;  // of each choice's next token, in characters
};

}  // namespace

std::unique_ptr<AnswerWriter> NewCompletionWriter(const ApiRequest& request, AnswerContext context,
                                                  const Tokenizer& tokenizer) {
  return std::make_unique<CompletionWriter>(request, std::move(context), tokenizer);
}

}  // namespace tern
