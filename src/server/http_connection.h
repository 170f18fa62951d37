// One client: two coroutines, one that reads ahead and one that answers. Internal to the HTTP
// layer. GCC 12 destroys some temporaries of a co_await expression twice: arguments with a
// destructor are named variables here.
#pragma once

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http.hpp>
#include <memory>
#include <optional>
#include <string>

#include "server/http_event.h"
#include "server/http_server.h"

namespace tern {

/// What all connections of a server share. Thread rule: the server's thread.
struct HttpShared {
  const HttpOptions options;
  HttpHandler handler = {};
  HttpServer::Log log = {};
  bool stopping = false;  // new requests get 503
  size_t body_bytes = 0;  // of requests that have no answer yet
  uint64_t next_request = 0;
  std::string id_prefix = {};  // differs from process to process
  /// Called when a connection has become idle or has ended.
  std::function<void()> on_quiet = {};
};

/// Thread rule: the server's thread.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  /// turned_away: is told that there is no room, whatever it asks for.
  HttpConnection(boost::asio::ip::tcp::socket socket, HttpShared& shared, bool turned_away);

  /// Begins; the connection keeps itself alive until it has ended, and then calls `ended`.
  void Start(std::function<void()> ended);

  /// Closes now, whatever is under way.
  void Abort();
  /// Closes unless a request is under way.
  void CloseIfIdle();
  bool busy() const { return busy_; }

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Clock = HttpEvent::Clock;
  template <class T>
  using Awaitable = boost::asio::awaitable<T>;

  Awaitable<void> ReadAhead();
  Awaitable<void> Run();
  /// False when the connection is to be closed.
  Awaitable<bool> ServeOne();
  /// The whole request is in the parser afterwards; else false, and the client was told why.
  Awaitable<bool> ReadRequest(Parser& parser);
  Awaitable<bool> Answer(HttpReply& reply);
  /// False: nothing can be sent any more.
  Awaitable<bool> Send(std::string bytes);
  Awaitable<bool> SendPart(HttpPart part);
  /// message must outlive the wait.
  Awaitable<void> Refuse(int status, std::string_view message);
  Awaitable<void> Linger();

  /// Gives received bytes to the parser. The status of a refusal; 0: none.
  int Feed(Parser& parser, boost::system::error_code& error);
  HttpRequest ToRequest(Parser& parser) const;
  void BeginRequest();
  /// Counts so many bytes of this request's body as held.
  void HoldBody(size_t bytes);
  void Log(std::string_view method, std::string_view path, const std::string& summary);

  boost::asio::ip::tcp::socket socket_;
  HttpShared& shared_;
  const bool turned_away_;
  HttpEvent event_;  // bytes, the client's end, something to send, an abort
  HttpEvent room_;   // for more bytes
  std::array<char, 16384> incoming_;
  std::string received_;  // and not yet parsed; bounded
  size_t parsed_ = 0;     // bytes of this request
  size_t body_held_ = 0;  // of them, body that takes memory
  std::string client_;
  std::string request_id_;
  Clock::time_point begun_ = {};
  bool ended_ = false;    // the client sends no more
  bool closing_ = false;  // what still comes is dropped
  bool busy_ = false;     // between a request's first byte and its answer's last
  bool keep_alive_ = false;
  bool http10_ = false;
  bool head_only_ = false;  // HEAD
  bool chunked_ = false;
  uint64_t served_ = 0;  // requests
  int status_ = 0;       // sent; 0: none yet
};

}  // namespace tern
