#include "server/generation_reply.h"

#include <fmt/format.h>

namespace tern {
namespace {

// A client that reads slower than the engine writes gets its text in larger parts, up to this.
constexpr size_t kLargestPart = 32 << 10;

class GenerationReply final : public HttpReply {
 public:
  GenerationReply(std::unique_ptr<const ApiRequest> request, AnswerContext context,
                  const Tokenizer& tokenizer, std::vector<RequestHandle> handles)
      : request_(std::move(request)),
        writer_(NewAnswerWriter(*request_, std::move(context), tokenizer)),
        handles_(std::move(handles)) {}

  void OnReady(std::function<void()> wake) override {
    for (RequestHandle& handle : handles_) handle.OnReady(wake);
  }

  std::optional<HttpPart> Pull() override {
    if (over_) return std::nullopt;
    std::string text;
    if (const auto error = Collect(text)) return End(*error, std::move(text));
    bool finished = true;
    for (const RequestHandle& handle : handles_) finished = finished && handle.Finished();
    if (finished) {
      over_ = true;
      text += writer_->Finish();
      return Part(std::move(text), true);
    }
    if (text.empty()) return std::nullopt;
    return Part(std::move(text), false);
  }

  std::string Summary() const override {
    return fmt::format("prompt {} tokens ({} cached), answer {} tokens, ended by {}", prompt_,
                       cached_, generated_, ended_by_);
  }

 private:
  /// Takes what the engine has written. Returns the failure, if there is one.
  std::optional<ApiError> Collect(std::string& text) {
    for (size_t p = 0; p < handles_.size(); ++p) {
      while (text.size() < kLargestPart) {
        const std::optional<Event> event = handles_[p].TryNext();
        if (!event) break;
        if (event->error) return ToApiError(*event->error, "");
        if (event->finish == FinishReason::kCancelled)
          return ApiError{503, "the server is stopping"};
        Count(*event);
        const size_t n = static_cast<size_t>(request_->n);
        text += writer_->Feed(p * n + static_cast<size_t>(event->index), *event);
      }
    }
    return std::nullopt;
  }

  void Count(const Event& event) {
    if (!event.finish) return;
    generated_ += event.stats.generated_tokens;
    ended_by_ = FinishReasonName(*event.finish);
    if (event.index != 0) return;
    prompt_ += event.stats.prompt_tokens;
    cached_ += event.stats.cached_tokens;
  }

  HttpPart Part(std::string text, bool last) {
    HttpPart part{.head = {}, .body = std::move(text), .last = last};
    if (!std::exchange(begun_, true)) {
      part.head.emplace();
      if (request_->stream) {
        part.head->content_type = "text/event-stream";
        part.head->fields = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
      }
    }
    return part;
  }

  HttpPart End(const ApiError& error, std::string text) {
    over_ = true;
    ended_by_ = fmt::format("failure {}", error.status);
    handles_.clear();
    if (begun_) return Part(text + writer_->Break(error), true);
    begun_ = true;
    return {HttpHead{.status = error.status, .fields = ErrorFields(error.status)},
            RenderError(error), true};
  }

  const std::unique_ptr<const ApiRequest> request_;
  const std::unique_ptr<AnswerWriter> writer_;
  std::vector<RequestHandle> handles_;
  bool begun_ = false;  // the head is out
  bool over_ = false;
  int64_t prompt_ = 0, cached_ = 0, generated_ = 0;
  std::string ended_by_ = "the client";
};

}  // namespace

std::unique_ptr<HttpReply> NewGenerationReply(std::unique_ptr<const ApiRequest> request,
                                              AnswerContext context, const Tokenizer& tokenizer,
                                              std::vector<RequestHandle> handles) {
  return std::make_unique<GenerationReply>(std::move(request), std::move(context), tokenizer,
                                           std::move(handles));
}

ApiError ToApiError(const Error& error, const char* field) {
  switch (error.code) {
    case Code::kInvalidArgument:
    case Code::kUnsupported:
      return {400, error.message, field};
    case Code::kResourceExhausted:
      return {429, "too many requests wait for the model; try again later"};
    case Code::kCancelled:
      return {503, "the server is stopping"};
    default:
      return {500, "the model failed: " + error.message};
  }
}

std::unique_ptr<HttpReply> ErrorReply(const ApiError& error) {
  return ReadyReply({.status = error.status, .fields = ErrorFields(error.status)},
                    RenderError(error), error.param);
}

}  // namespace tern
