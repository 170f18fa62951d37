#include "server/api.h"

#include <chrono>
#include <optional>
#include <random>

namespace tern {
namespace {

constexpr int kClientClosedRequest = 499;  // for the log alone, as nginx has it

int64_t UnixTime() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

uint64_t RandomBits() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

// Sends the error; returns what the log says, which is nothing of the client's texts.
std::string Refuse(HttpExchange& exchange, const ApiError& error,
                   HttpExchange::Header header = {}) {
  exchange.Send(error.status, RenderError(error), header);
  return fmt::format("{} {}", error.status, error.param);
}

// The client is gone, or it is told that the server goes.
std::string GiveUp(HttpExchange& exchange) {
  if (exchange.Stopping()) return Refuse(exchange, {503, "the server is stopping"});
  return fmt::format("{} the client hung up", kClientClosedRequest);
}

// Leaves the turnstile at the end of a turn.
class Turn {
 public:
  explicit Turn(Turnstile& turnstile) : turnstile_(turnstile) {}
  ~Turn() { turnstile_.Leave(); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Turnstile& turnstile_;
};

// The events of one answer. The stream begins with its first text, so that what goes wrong before
// can still be told by the status.
class EventStream {
 public:
  EventStream(const AnswerHead& head, HttpExchange& exchange) : head_(head), exchange_(exchange) {}

  bool Text(std::string_view text) { return Begin() && Event(RenderText(head_, text)); }
  bool End(const GenerationResult& result, bool include_usage) {
    return Begin() && Event(RenderEnd(head_, result)) &&
           (!include_usage || Event(RenderUsage(head_, result))) && Event(kSseDone);
  }
  /// False when it hasn't begun.
  bool Break(const ApiError& error) { return begun_ && (Event(RenderError(error)), true); }

 private:
  bool Begin() {
    if (begun_) return true;
    begun_ = true;
    return exchange_.BeginEvents() &&
           (head_.endpoint != Endpoint::kChat || Event(RenderOpening(head_)));
  }
  bool Event(std::string_view data) { return exchange_.Write(SseEvent(data)); }

  const AnswerHead& head_;
  HttpExchange& exchange_;
  bool begun_ = false;
};

ApiError ToApiError(const Error& error, const char* prompt_field) {
  if (error.code == Code::kInvalidArgument) return {400, error.message, prompt_field};
  return {500, "the model failed; the server's log says why"};
}

const char* PromptField(Endpoint endpoint) {
  return endpoint == Endpoint::kChat ? "messages" : "prompt";
}

}  // namespace

Api::Api(Session& session, ApiOptions options, Log log)
    : session_(session),
      options_(std::move(options)),
      log_(std::move(log)),
      created_(UnixTime()),
      family_(DetectChatFamily(*session.tokenizer(), session.model().config.architecture)),
      id_prefix_(fmt::format("{:016x}", RandomBits())),
      turnstile_(options_.max_waiting),
      executor_(session.decoder()),
      generator_(executor_, session.cache(), *session.tokenizer(), session.model().config.vocab,
                 session.context()) {}

void Api::Handle(const HttpRequest& request, HttpExchange& exchange) {
  const auto start = std::chrono::steady_clock::now();
  const std::string outcome = Route(request, exchange);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  log_(fmt::format("{} {} {} {}, {:.3f} s", request.client, request.method,
                   request.path.substr(0, 80), outcome, seconds.count()));
}

std::string Api::Route(const HttpRequest& request, HttpExchange& exchange) {
  const auto get = [&](std::string_view json) -> std::string {
    if (request.method != "GET")
      return Refuse(exchange, {405, "expected the method GET"}, {"Allow", "GET"});
    exchange.Send(200, json);
    return "200";
  };
  const auto post = [&](Endpoint endpoint) -> std::string {
    if (request.method != "POST")
      return Refuse(exchange, {405, "expected the method POST"}, {"Allow", "POST"});
    return Complete(endpoint, request, exchange);
  };
  if (request.path == "/health") return get(R"({"status":"ok"})");
  if (request.path == "/v1/models") return get(RenderModels(options_.model, created_));
  if (request.path == "/v1/completions") return post(Endpoint::kCompletion);
  if (request.path == "/v1/chat/completions") return post(Endpoint::kChat);
  return Refuse(exchange, {404,
                           "there is nothing at this path; there are /health, /v1/models, "
                           "/v1/completions and /v1/chat/completions"});
}

std::string Api::Complete(Endpoint endpoint, const HttpRequest& request, HttpExchange& exchange) {
  auto parsed = ParseRequest(endpoint, request.body);
  if (!parsed) return Refuse(exchange, parsed.error());
  const auto prompt = Encode(*parsed);
  if (!prompt) return Refuse(exchange, prompt.error());
  parsed->generation.sampling.seed = parsed->seed ? *parsed->seed : RandomBits();
  switch (turnstile_.Enter([&exchange] { return exchange.Wanted(); })) {
    case Turnstile::Outcome::kFull:
      return Refuse(exchange, {429, "too many requests wait for the model; try again later"},
                    {"Retry-After", "1"});
    case Turnstile::Outcome::kGivenUp:
      return GiveUp(exchange);
    case Turnstile::Outcome::kMine:
      break;
  }
  return Generate(*parsed, *prompt, exchange);
}

tl::expected<std::vector<TokenId>, ApiError> Api::Encode(const ApiRequest& request) const {
  const Tokenizer& tokenizer = *session_.tokenizer();
  const char* field = PromptField(request.endpoint);
  std::vector<TokenId> ids;
  if (request.endpoint == Endpoint::kChat) {
    const auto segments = RenderChat(family_, tokenizer, request.messages, {});
    if (!segments) return tl::unexpected(ToApiError(segments.error(), field));
    ids = EncodeChat(tokenizer, *segments);
  } else {
    ids = tokenizer.Encode(request.prompt, {.add_bos = tokenizer.spec().add_bos});
  }
  // The generator would say so too, but only once it is this request's turn.
  const int64_t capacity = session_.context();
  if (std::ssize(ids) < capacity) return ids;
  return tl::unexpected<ApiError>(
      ApiError{400,
               fmt::format("{}: found {} tokens, expected fewer than the context of {}", field,
                           ids.size(), capacity),
               field, "context_length_exceeded"});
}

AnswerHead Api::NewHead(Endpoint endpoint) {
  const char* kind = endpoint == Endpoint::kChat ? "chatcmpl" : "cmpl";
  return {endpoint, fmt::format("{}-{}{:08x}", kind, id_prefix_, next_id_++), UnixTime(),
          options_.model};
}

std::string Api::Generate(const ApiRequest& request, const std::vector<TokenId>& prompt,
                          HttpExchange& exchange) {
  const AnswerHead head = NewHead(request.endpoint);
  EventStream events(head, exchange);
  std::optional<Turn> turn(std::in_place, turnstile_);
  executor_.WatchFor(&exchange);
  const auto result = generator_.Generate(prompt, request.generation, [&](std::string_view text) {
    return !request.stream || events.Text(text);
  });
  executor_.WatchFor(nullptr);
  turn.reset();  // nobody waits while this client reads the rest
  if (!result) {
    if (result.error().code != Code::kInvalidArgument) log_("error: " + result.error().message);
    const ApiError error = ToApiError(result.error(), PromptField(request.endpoint));
    return events.Break(error) ? "broken off" : Refuse(exchange, error);
  }
  if (result->finish == FinishReason::kCancelled) {
    const bool told = exchange.Stopping() && events.Break({503, "the server is stopping"});
    return told ? "broken off" : GiveUp(exchange);
  }
  if (!request.stream)
    exchange.Send(200, RenderAnswer(head, *result));
  else if (!events.End(*result, request.include_usage))
    return GiveUp(exchange);
  return fmt::format("200 prompt {} tokens, answer {} tokens, ended by {}",
                     result->stats.prompt_tokens, result->stats.generated_tokens,
                     FinishReasonName(result->finish));
}

}  // namespace tern
