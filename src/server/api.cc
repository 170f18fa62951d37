#include "server/api.h"

#include <fmt/format.h>

#include <array>

#include "server/generation_reply.h"
#include "server/metrics.h"
#include "server/web_files.h"

namespace tern {
namespace {

// Adds header fields to an answer.
class WithFields final : public HttpReply {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;
  WithFields(std::unique_ptr<HttpReply> inner, Fields fields)
      : inner_(std::move(inner)), fields_(std::move(fields)) {}

  void OnReady(std::function<void()> wake) override { inner_->OnReady(std::move(wake)); }
  std::optional<HttpPart> Pull() override {
    auto part = inner_->Pull();
    if (part && part->head)
      part->head->fields.insert(part->head->fields.end(), fields_.begin(), fields_.end());
    return part;
  }
  std::string Summary() const override { return inner_->Summary(); }

 private:
  std::unique_ptr<HttpReply> inner_;
  Fields fields_;
};

const WebFile* FindWebFile(std::string_view path) {
  for (const WebFile& file : WebFiles())
    if (file.path == path) return &file;
  return nullptr;
}

// A file of the page. Browsers ask each time, and are mostly told that it is the same.
std::unique_ptr<HttpReply> WebReply(const WebFile& file, const HttpRequest& request) {
  constexpr int kNotModified = 304;
  HttpHead head{.content_type = std::string(file.content_type),
                .fields = {{"ETag", std::string(file.etag)},
                           {"Cache-Control", "no-cache"},
                           {"Content-Security-Policy", std::string(kWebSecurityPolicy)},
                           {"X-Content-Type-Options", "nosniff"},
                           {"Referrer-Policy", "no-referrer"}}};
  if (request.Field("If-None-Match") != file.etag)
    return ReadyReply(std::move(head), std::string(file.bytes));
  head.status = kNotModified;
  return ReadyReply(std::move(head), "");
}

std::unique_ptr<HttpReply> MethodRefused(const char* allowed) {
  return ReadyReply({.status = 405, .fields = {{"Allow", allowed}}},
                    RenderError({405, fmt::format("expected the method {}", allowed)}));
}

std::unique_ptr<HttpReply> JsonReply(std::string json) { return ReadyReply({}, std::move(json)); }

}  // namespace

struct Api::Loaded {
  Loaded(Engine& with, ModelServiceOptions options)
      : engine(with), slots(options.slots), service(with, std::move(options)) {}
  Engine& engine;
  const int64_t slots;
  ModelService service;
};

struct Api::Route {
  const char* method;
  const char* path;
  enum Need : uint8_t { kNothing = 0, kKey = 1, kModel = 2 };
  int needs;
  using Answer = std::unique_ptr<HttpReply> (*)(Api&, Loaded*, HttpRequest);
  Answer answer;
};

// llama-server has many of the paths with and without /v1.
std::span<const Api::Route> Api::Routes() {
  using Reply = std::unique_ptr<HttpReply>;
  constexpr int kBoth = Route::kKey | Route::kModel;
  constexpr auto kHealth =
      +[](Api&, Loaded*, HttpRequest) -> Reply { return JsonReply(R"({"status":"ok"})"); };
  constexpr auto kModels = +[](Api&, Loaded* loaded, HttpRequest) -> Reply {
    return JsonReply(loaded->service.Models());
  };
  // A function that answers for one endpoint.
  constexpr auto kCompleter = []<Endpoint kEndpoint>(std::integral_constant<Endpoint, kEndpoint>) {
    return +[](Api& api, Loaded* loaded, HttpRequest request) -> Reply {
      return api.workers_.Answer([loaded, body = std::move(request.body)] {
        return loaded->service.Complete(kEndpoint, body);
      });
    };
  };
  constexpr auto kCompletion =
      kCompleter(std::integral_constant<Endpoint, Endpoint::kCompletion>());
  constexpr auto kNative = kCompleter(std::integral_constant<Endpoint, Endpoint::kNative>());
  constexpr auto kChat = kCompleter(std::integral_constant<Endpoint, Endpoint::kChat>());
  constexpr auto kResponses = kCompleter(std::integral_constant<Endpoint, Endpoint::kResponses>());
  constexpr auto kEmbeddings = +[](Api& api, Loaded* loaded, HttpRequest request) -> Reply {
    return api.waiting_workers_.Answer(
        [loaded, body = std::move(request.body)] { return loaded->service.Embed(body); });
  };
  constexpr auto kTokenize = +[](Api& api, Loaded* loaded, HttpRequest request) -> Reply {
    return api.workers_.Answer(
        [loaded, body = std::move(request.body)] { return loaded->service.Tokenize(body); });
  };
  constexpr auto kDetokenize = +[](Api& api, Loaded* loaded, HttpRequest request) -> Reply {
    return api.workers_.Answer(
        [loaded, body = std::move(request.body)] { return loaded->service.Detokenize(body); });
  };
  constexpr auto kTemplate = +[](Api& api, Loaded* loaded, HttpRequest request) -> Reply {
    return api.workers_.Answer(
        [loaded, body = std::move(request.body)] { return loaded->service.ApplyTemplate(body); });
  };
  constexpr auto kProps = +[](Api&, Loaded* loaded, HttpRequest) -> Reply {
    return JsonReply(loaded->service.Props());
  };
  constexpr auto kSlots = +[](Api&, Loaded* loaded, HttpRequest request) -> Reply {
    const EngineStats stats = loaded->engine.Stats();
    if (request.query == "fail_on_no_slot=1" && stats.running >= loaded->slots)
      return ErrorReply({503, "no slot available"});
    return JsonReply(RenderSlots(stats, loaded->slots, loaded->engine.context()));
  };
  constexpr auto kMetrics = +[](Api& api, Loaded* loaded, HttpRequest) -> Reply {
    std::optional<EngineStats> stats;
    if (loaded != nullptr) stats = loaded->engine.Stats();
    const HttpStats http = api.http_stats_ ? api.http_stats_() : HttpStats{};
    return ReadyReply({.content_type = std::string(PrometheusText::kContentType)},
                      RenderMetrics(stats ? &*stats : nullptr,
                                    loaded == nullptr ? nullptr : loaded->engine.monitor(), http));
  };
  static const Route kRoutes[] = {
      {"GET", "/health", Route::kModel, kHealth},
      {"GET", "/v1/health", Route::kModel, kHealth},
      {"GET", "/ready", Route::kModel, kHealth},
      {"GET", "/metrics", Route::kKey, kMetrics},
      {"GET", "/v1/models", kBoth, kModels},
      {"GET", "/models", kBoth, kModels},
      {"GET", "/props", kBoth, kProps},
      {"GET", "/slots", kBoth, kSlots},
      {"POST", "/v1/chat/completions", kBoth, kChat},
      {"POST", "/chat/completions", kBoth, kChat},
      {"POST", "/v1/completions", kBoth, kCompletion},
      {"POST", "/completions", kBoth, kCompletion},
      {"POST", "/completion", kBoth, kNative},
      {"POST", "/v1/responses", kBoth, kResponses},
      {"POST", "/responses", kBoth, kResponses},
      {"POST", "/v1/embeddings", kBoth, kEmbeddings},
      {"POST", "/embeddings", kBoth, kEmbeddings},
      {"POST", "/tokenize", kBoth, kTokenize},
      {"POST", "/detokenize", kBoth, kDetokenize},
      {"POST", "/apply-template", kBoth, kTemplate},
  };
  return kRoutes;
}

Api::Api(ApiOptions options, ApiKeys keys)
    : options_(std::move(options)),
      keys_(std::move(keys)),
      workers_(options_.workers),
      waiting_workers_(options_.waiting_workers) {}

Api::~Api() = default;

void Api::SetModel(Engine& engine, ModelServiceOptions options) {
  loaded_ = std::make_unique<Loaded>(engine, std::move(options));
  ready_ = loaded_.get();
}

std::unique_ptr<HttpReply> Api::Handle(HttpRequest request) {
  const std::string& allowed = options_.cors_origin;
  if (allowed.empty()) return Dispatch(std::move(request));
  const std::string_view origin = request.Field("Origin");
  const bool welcome = !origin.empty() && (allowed == "*" || origin == allowed);
  if (welcome && request.method == "OPTIONS")
    return std::make_unique<WithFields>(
        Preflight(), WithFields::Fields{{"Access-Control-Allow-Origin", allowed}});
  auto reply = Dispatch(std::move(request));
  WithFields::Fields fields = {{"Vary", "Origin"}};
  if (welcome) {
    fields.emplace_back("Access-Control-Allow-Origin", allowed);
    fields.emplace_back("Access-Control-Expose-Headers", "X-Request-Id");
  }
  return std::make_unique<WithFields>(std::move(reply), std::move(fields));
}

std::unique_ptr<HttpReply> Api::Preflight() const {
  return ReadyReply({.status = 204,
                     .content_type = "",
                     .fields = {{"Access-Control-Allow-Methods", "GET, POST, OPTIONS"},
                                {"Access-Control-Allow-Headers", "Authorization, Content-Type"},
                                {"Access-Control-Max-Age", "86400"},
                                {"Vary", "Origin"}}},
                    "");
}

std::unique_ptr<HttpReply> Api::Dispatch(HttpRequest request) {
  const Route* route = nullptr;
  for (const Route& candidate : Routes())
    if (request.path == candidate.path) route = &candidate;
  const bool get = request.method == "GET" || request.method == "HEAD";
  if (route == nullptr) {
    const WebFile* file = FindWebFile(request.path);
    if (file == nullptr) return ErrorReply({404, "there is nothing at this path"});
    return get ? WebReply(*file, request) : MethodRefused("GET");
  }
  const bool is_get = std::string_view(route->method) == "GET";
  if (is_get ? !get : request.method != route->method) return MethodRefused(route->method);
  if ((route->needs & Route::kKey) != 0 &&
      !keys_.Admits(request.Field("Authorization"), request.Field("X-Api-Key")))
    return ErrorReply({401, "missing or wrong API key, expected Authorization: Bearer KEY", "",
                       "invalid_api_key"});
  Loaded* loaded = ready_;
  if ((route->needs & Route::kModel) != 0 && loaded == nullptr)
    return ErrorReply({503, "Loading model", "", "loading"});
  return route->answer(*this, loaded, std::move(request));
}

}  // namespace tern
