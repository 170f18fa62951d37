// HTTP/1.1 for a handful of clients: one thread a connection, every limit bounded.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tern {

struct HttpOptions {
  std::string host = "127.0.0.1";  // a name or an address
  uint16_t port = 8080;            // 0: any free one
  size_t max_connections = 64;     // beyond: 503
  size_t max_body = 1 << 20;       // bytes; beyond: 413
  uint32_t max_header = 16 << 10;  // bytes; beyond: 431
  /// For a request from its first wait to its last byte, and for all the time that the client's
  /// slowness holds up one response. Who takes longer is disconnected.
  std::chrono::milliseconds timeout = std::chrono::seconds(30);
};

struct HttpRequest {
  std::string client;  // its address
  std::string method;  // "GET"
  std::string path;    // without the query
  std::string body;
};

/// Where a handler answers: either Send, or BeginEvents and then Write as often as needed. Thread
/// rule: the handler's thread.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;

  /// False once the client has hung up (or said that it sends no more) or the server stops:
  /// whatever is being computed is for nobody.
  virtual bool Wanted() = 0;
  virtual bool Stopping() const = 0;

  /// A whole JSON response. `header`, if any, is one more header field.
  struct Header {
    std::string_view name, value;
  };
  virtual void Send(int status, std::string_view json, Header header = {}) = 0;

  /// The head of a stream of server-sent events, then parts of it. False: the client is gone.
  virtual bool BeginEvents() = 0;
  virtual bool Write(std::string_view events) = 0;
};

/// Answers one request; called from many threads at once.
using HttpHandler = std::function<void(const HttpRequest&, HttpExchange&)>;

class HttpServer {
 public:
  /// Takes the address, so that a port in use is found out early; nobody is served yet. Errors:
  /// kInvalidArgument or kResourceExhausted naming the address.
  static Result<std::unique_ptr<HttpServer>> Bind(const HttpOptions& options);
  virtual ~HttpServer() = default;

  /// Serves until SIGINT or SIGTERM (a second one ends the process), then waits for the handlers,
  /// which learn of it from Wanted(). `log` gets a line once clients can connect ("listening on"
  /// and the address) and for faults; it is called from any thread.
  virtual Status Serve(const HttpHandler& handler,
                       const std::function<void(const std::string&)>& log) = 0;
};

}  // namespace tern
