// What the server answers: routes, and a model behind a queue.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "engine/session.h"
#include "server/http_server.h"
#include "server/openai.h"
#include "server/turnstile.h"

namespace tern {

struct ApiOptions {
  std::string model;        // the name that clients see
  size_t max_waiting = 16;  // requests that wait for the model; beyond: 429
};

/// Passes forward passes on as long as somebody wants their result; kCancelled then.
class WatchedExecutor final : public Executor {
 public:
  explicit WatchedExecutor(Executor& inner) : inner_(inner) {}

  /// nullptr: nobody is asked.
  void WatchFor(HttpExchange* exchange) { exchange_ = exchange; }

  int64_t max_rows() const override { return inner_.max_rows(); }
  Result<FloatView> Forward(const Batch& batch, KvCache& cache) override {
    if (exchange_ != nullptr && !exchange_->Wanted())
      return Fail(Code::kCancelled, "the client is gone");
    return inner_.Forward(batch, cache);
  }

 private:
  Executor& inner_;
  HttpExchange* exchange_ = nullptr;
};

/// GET /health, GET /v1/models, POST /v1/completions, POST /v1/chat/completions. One text is
/// generated at a time. Thread rule: any thread.
class Api {
 public:
  /// One line for each request; never text of prompts or answers.
  using Log = std::function<void(const std::string&)>;

  /// session must have a tokenizer and outlive the object.
  Api(Session& session, ApiOptions options, Log log);

  void Handle(const HttpRequest& request, HttpExchange& exchange);

 private:
  /// Answers; returns what the log says about it.
  std::string Route(const HttpRequest& request, HttpExchange& exchange);
  std::string Complete(Endpoint endpoint, const HttpRequest& request, HttpExchange& exchange);
  /// It is the request's turn; ends the turn.
  std::string Generate(const ApiRequest& request, const std::vector<TokenId>& prompt,
                       HttpExchange& exchange);
  tl::expected<std::vector<TokenId>, ApiError> Encode(const ApiRequest& request) const;
  AnswerHead NewHead(Endpoint endpoint);

  Session& session_;
  const ApiOptions options_;
  const Log log_;
  const int64_t created_;
  const ChatFamily family_;
  const std::string id_prefix_;  // differs from process to process
  std::atomic<uint64_t> next_id_ = 0;
  Turnstile turnstile_;  // guards what follows
  WatchedExecutor executor_;
  Generator generator_;
};

}  // namespace tern
