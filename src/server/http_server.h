// HTTP/1.1 for many clients on one thread: every wait is bounded, every buffer too.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "server/http.h"

namespace tern {

struct HttpOptions {
  std::string host = "127.0.0.1";  // a name or an address
  uint16_t port = 8080;            // 0: any free one
  size_t max_connections = 512;    // beyond: 503
  size_t max_body = 4 << 20;       // bytes; beyond: 413
  size_t max_bodies = 256 << 20;   // bytes, of all requests that wait for an answer; beyond: 503
  size_t max_header = 16 << 10;    // bytes; beyond: 431
  size_t max_url = 4 << 10;        // bytes; beyond: 414
  /// For a request from its first byte to its last, and for one part of an answer to be taken by
  /// the client. Who takes longer is disconnected.
  std::chrono::milliseconds timeout = std::chrono::seconds(30);
  std::chrono::milliseconds idle_timeout = std::chrono::seconds(75);  // between two requests
};

/// A snapshot.
struct HttpStats {
  uint64_t connections = 0;  // open now
  uint64_t accepted = 0;     // since the start
  uint64_t turned_away = 0;  // for want of room
};

/// Thread rule: Start, WaitForStop, Shutdown from one thread; the rest from any.
class HttpServer {
 public:
  /// Lines for the log; called on the server's thread.
  using Log = std::function<void(const std::string&)>;

  /// Takes the address, so that a port in use is found out early; nobody is served yet. Errors:
  /// kInvalidArgument or kResourceExhausted naming the address.
  static Result<std::unique_ptr<HttpServer>> Bind(const HttpOptions& options);
  /// As Shutdown without grace.
  virtual ~HttpServer() = default;

  /// Serves on a thread of its own. SIGINT and SIGTERM stop it (a second one ends the process);
  /// SIGHUP calls on_hangup on the server's thread. The log gets "listening on http://ADDRESS", a
  /// line for each request, and faults.
  virtual Status Start(HttpHandler handler, Log log, std::function<void()> on_hangup) = 0;
  virtual uint16_t port() const = 0;

  /// From now on new requests get 503. The signals call it.
  virtual void Stop() = 0;
  virtual bool Stopping() const = 0;
  /// Returns once somebody has called Stop.
  virtual void WaitForStop() = 0;

  /// Stops, lets answers that have begun go out for as long as `grace`, closes every connection,
  /// ends the thread. Replies that are not done are destroyed.
  virtual void Shutdown(std::chrono::milliseconds grace) = 0;

  virtual HttpStats Stats() const = 0;
};

}  // namespace tern
