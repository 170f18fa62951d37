// What the server answers: routes, keys, CORS, and the model once it is loaded.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "server/api_keys.h"
#include "server/http.h"
#include "server/http_server.h"
#include "server/model_service.h"
#include "server/workers.h"

namespace tern {

struct ApiOptions {
  std::string cors_origin;  // pages of this origin may ask, or of any ("*"); empty: of none
  int workers = 2;          // threads that parse and tokenise
  int waiting_workers = 4;  // threads that wait for embeddings
};

/// Thread rule: Handle and ReloadKeys on the server's thread; SetModel from any, once.
class Api {
 public:
  Api(ApiOptions options, ApiKeys keys);
  /// Waits for the workers. The server must have shut down.
  ~Api();

  /// The model is loaded: until then requests get 503. engine must outlive the object.
  void SetModel(Engine& engine, ModelServiceOptions options);
  /// Where /metrics finds the numbers of the HTTP layer.
  void SetHttpStats(std::function<HttpStats()> stats) { http_stats_ = std::move(stats); }

  std::unique_ptr<HttpReply> Handle(HttpRequest request);
  Status ReloadKeys() { return keys_.Reload(); }
  const ApiKeys& keys() const { return keys_; }

 private:
  struct Route;
  struct Loaded;
  static std::span<const Route> Routes();

  std::unique_ptr<HttpReply> Dispatch(HttpRequest request);
  std::unique_ptr<HttpReply> Preflight() const;

  const ApiOptions options_;
  ApiKeys keys_;
  std::function<HttpStats()> http_stats_;
  std::unique_ptr<Loaded> loaded_;
  std::atomic<Loaded*> ready_ = nullptr;  // loaded_, once it may be used
  Workers workers_, waiting_workers_;     // first to go: their jobs use the others
};

}  // namespace tern
