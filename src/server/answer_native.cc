// llama-server's own form, POST /completion.
#include "server/answer_parts.h"
#include "server/settings_json.h"

namespace tern {
namespace {

// A sequence has no place of its own that a client could ask for again: any will do.
constexpr int kAnySlot = -1;

const char* StopType(FinishReason reason) {
  if (reason == FinishReason::kEndOfText) return "eos";
  return reason == FinishReason::kStopString ? "word" : "limit";
}

class NativeWriter final : public AnswerWriter {
 public:
  NativeWriter(const ApiRequest& request, AnswerContext context, const Tokenizer& tokenizer)
      : request_(request), context_(std::move(context)), tokenizer_(tokenizer) {
    choices_.assign(request.prompts.size(), ChoiceState({}));
    pieces_.assign(choices_.size(), {});
  }

  std::string Feed(size_t index, const Event& event) override {
    const std::string text = choices_[index].Take(event).content;
    Piece& piece = pieces_[index];
    piece.ids.insert(piece.ids.end(), event.ids.begin(), event.ids.end());
    for (const TokenEvent& token : event.logprobs)
      piece.probabilities.push_back(Probability(token));
    if (!request_.stream) return {};
    std::string out;
    if (!text.empty() || !event.ids.empty()) {
      Json chunk = Part(index, text, event.stats);
      chunk["stop"] = false;
      out = SseEvent(Dump(chunk));
    }
    if (event.finish) out += SseEvent(Dump(Whole(index, "")));
    return out;
  }

  std::string Finish() override {
    if (request_.stream) return {};
    if (choices_.size() == 1) return Dump(Whole(0, choices_[0].content));
    Json list = Json::array();
    for (size_t i = 0; i < choices_.size(); ++i) list.push_back(Whole(i, choices_[i].content));
    return Dump(list);
  }

  std::string Break(const ApiError& error) override { return SseEvent(RenderError(error)); }

 private:
  /// Not yet sent.
  struct Piece {
    std::vector<TokenId> ids = {};
    Json probabilities = Json::array();
  };

  Json Probability(const TokenEvent& token) const {
    Json json = LogprobJson(tokenizer_, token);
    json["id"] = token.id;
    for (size_t i = 0; i < token.top.size(); ++i) json["top_logprobs"][i]["id"] = token.top[i].id;
    return json;
  }

  Json Settings() const {
    Json json = {{"n_ctx", context_.context}, {"model", context_.head.model}};
    json.update(SettingsJson(request_));
    return json;
  }

  Json Part(size_t index, std::string_view text, const GenerationStats& stats) {
    Piece piece = std::exchange(pieces_[index], {});
    Json json = {{"index", index},
                 {"content", text},
                 {"tokens", std::move(piece.ids)},
                 {"id_slot", kAnySlot},
                 {"tokens_predicted", stats.generated_tokens},
                 {"tokens_evaluated", stats.prompt_tokens}};
    if (request_.logprobs) json["completion_probabilities"] = std::move(piece.probabilities);
    return json;
  }

  Json Whole(size_t index, std::string_view text) {
    const ChoiceState& choice = choices_[index];
    Json json = Part(index, text, choice.stats);
    json["stop"] = true;
    json["stop_type"] = StopType(choice.finish);
    json["stopping_word"] = choice.stop;
    json["model"] = context_.head.model;
    json["generation_settings"] = Settings();
    json["prompt"] = context_.prompts[index];
    json["has_new_line"] = choice.content.find('\n') != std::string::npos;
    json["truncated"] = choice.finish == FinishReason::kContext;
    json["tokens_cached"] = choice.stats.cached_tokens;
    json["timings"] = TimingsJson(choice.stats);
    return json;
  }

  const ApiRequest& request_;
  const AnswerContext context_;
  const Tokenizer& tokenizer_;
  std::vector<ChoiceState> choices_;
  std::vector<Piece> pieces_;  // of each choice
};

}  // namespace

std::unique_ptr<AnswerWriter> NewNativeWriter(const ApiRequest& request, AnswerContext context,
                                              const Tokenizer& tokenizer) {
  return std::make_unique<NativeWriter>(request, std::move(context), tokenizer);
}

}  // namespace tern
