#include "server/http_server.h"

#include <poll.h>

#include <atomic>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <csignal>
#include <list>
#include <sstream>
#include <thread>
#include <utility>

#include "server/openai.h"

namespace tern {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using LogLine = std::function<void(const std::string&)>;

constexpr const char* kServerName = "tern";
constexpr std::chrono::seconds kLinger(1);
constexpr std::chrono::milliseconds kAfterFailedAccept(100);

// What a client is told that sent no proper request; 0: nothing, it is gone or too slow.
int StatusFor(const error_code& ec) {
  if (ec == http::error::body_limit) return 413;
  if (ec == http::error::header_limit) return 431;
  if (ec == http::error::end_of_stream || ec == http::error::partial_message) return 0;
  return ec.category() == http::make_error_code(http::error::bad_method).category() ? 400 : 0;
}

http::response<http::string_body> JsonResponse(int status, std::string_view json, unsigned version,
                                               bool keep_alive) {
  http::response<http::string_body> response(static_cast<http::status>(status), version);
  response.set(http::field::server, kServerName);
  response.set(http::field::content_type, "application/json");
  response.keep_alive(keep_alive);
  response.body() = json;
  response.prepare_payload();
  return response;
}

// A client and its thread. The thread waits for one asynchronous operation at a time: that is how
// Beast's deadlines come to a program that reads from top to bottom.
class Connection final : public HttpExchange {
 public:
  Connection(const HttpOptions& options, const std::atomic<bool>& stopping)
      : options_(options), stopping_(stopping), stream_(context_) {}
  ~Connection() override {
    if (thread_.joinable()) thread_.join();
  }

  tcp::socket& socket() { return stream_.socket(); }
  bool done() const { return done_; }

  void Start(const HttpHandler& handler, const LogLine& log) {
    thread_ = std::thread([this, &handler, &log] { Run(handler, log); });
  }

  /// From any thread: nothing more is read from the client; it may still be answered.
  void StopReading() {
    asio::post(context_, [this] {
      error_code ignored;
      stream_.socket().shutdown(tcp::socket::shutdown_receive, ignored);
    });
  }

  bool Stopping() const override { return stopping_; }

  bool Wanted() override {
    pollfd client = {stream_.socket().native_handle(), POLLRDHUP, 0};
    const bool wanted = !stopping_ && !failed_ && poll(&client, 1, 0) == 0;
    if (!wanted) keep_alive_ = false;
    return wanted;
  }

  void Send(int status, std::string_view json, Header header) override {
    auto response = JsonResponse(status, json, version_, keep_alive_);
    if (!header.name.empty())
      response.set(beast::string_view(header.name.data(), header.name.size()),
                   beast::string_view(header.value.data(), header.value.size()));
    Transmit([&](auto done) { http::async_write(stream_, response, done); });
  }

  bool BeginEvents() override {
    http::response<http::empty_body> response(http::status::ok, version_);
    response.set(http::field::server, kServerName);
    response.set(http::field::content_type, "text/event-stream");
    response.set(http::field::cache_control, "no-cache");
    chunked_ = version_ >= 11;
    response.chunked(chunked_);
    keep_alive_ = keep_alive_ && chunked_;
    response.keep_alive(keep_alive_);
    http::response_serializer<http::empty_body> serializer(response);
    return Transmit([&](auto done) { http::async_write_header(stream_, serializer, done); });
  }

  bool Write(std::string_view events) override {
    const asio::const_buffer bytes(events.data(), events.size());
    return chunked_ ? TransmitBytes(http::make_chunk(bytes)) : TransmitBytes(bytes);
  }

 private:
  /// Runs one operation to its end. start(done) begins it; done is its completion handler.
  template <class Start>
  error_code Await(const Start& start) {
    error_code outcome;
    start([&outcome](const error_code& ec, size_t) { outcome = ec; });
    context_.restart();
    context_.run();
    return outcome;
  }

  /// The same for writing, within the time that a client may hold up its response.
  template <class Start>
  bool Transmit(const Start& start) {
    if (failed_) return false;
    const auto begin = Clock::now();
    stream_.expires_at(begin + write_time_left_);
    failed_ = Await(start).failed();
    write_time_left_ -= Clock::now() - begin;
    return !failed_;
  }

  template <class Buffers>
  bool TransmitBytes(const Buffers& buffers) {
    return Transmit([&](auto done) { asio::async_write(stream_, buffers, done); });
  }

  void Run(const HttpHandler& handler, const LogLine& log) {
    try {
      error_code ec;
      client_ = socket().remote_endpoint(ec).address().to_string();
      socket().set_option(tcp::no_delay(true), ec);
      while (ServeOne(handler)) {
      }
      Close();
    } catch (const std::exception& error) {
      log(fmt::format("error: {}: {}", client_, error.what()));  // this client is lost, no other
    }
    error_code ignored;
    socket().close(ignored);
    done_ = true;
  }

  /// False when the connection is to be closed.
  bool ServeOne(const HttpHandler& handler) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(options_.max_header);
    parser.body_limit(options_.max_body);
    write_time_left_ = options_.timeout;
    version_ = 11;
    keep_alive_ = chunked_ = false;
    if (const error_code ec = Read(parser)) {
      if (const int status = StatusFor(ec); status != 0)
        Send(status, RenderError({status, "not a request that can be served: " + ec.message()}),
             {});
      return false;
    }
    auto message = parser.release();
    version_ = message.version();
    // An answer to HEAD would have to do without its body.
    keep_alive_ = message.keep_alive() && message.method() != http::verb::head && !stopping_;
    const std::string_view target(message.target().data(), message.target().size());
    handler({client_, std::string(message.method_string()),
             std::string(target.substr(0, target.find('?'))), std::move(message.body())},
            *this);
    if (chunked_) TransmitBytes(http::make_chunk_last());
    return keep_alive_ && !failed_;
  }

  error_code Read(http::request_parser<http::string_body>& parser) {
    stream_.expires_after(options_.timeout);
    error_code ec =
        Await([&](auto done) { http::async_read_header(stream_, buffer_, parser, done); });
    if (ec) return ec;
    if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
      constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
      ec = Await([&](auto done) {
        asio::async_write(stream_, asio::const_buffer(kGoOn.data(), kGoOn.size()), done);
      });
      if (ec) return ec;
    }
    return Await([&](auto done) { http::async_read(stream_, buffer_, parser, done); });
  }

  /// Closing while the client still sends would reset the connection, and the client might never
  /// see the answer: what it sends is read and dropped for a moment.
  void Close() {
    error_code ec;
    socket().shutdown(tcp::socket::shutdown_send, ec);
    char dropped[4096];
    stream_.expires_after(kLinger);
    while (!ec)
      ec = Await([&](auto done) { stream_.async_read_some(asio::buffer(dropped), done); });
  }

  const HttpOptions& options_;
  const std::atomic<bool>& stopping_;
  asio::io_context context_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::string client_;
  Clock::duration write_time_left_ = {};
  unsigned version_ = 11;  // of HTTP, times ten
  bool keep_alive_ = false;
  bool chunked_ = false;
  bool failed_ = false;  // nothing can be written any more
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

class BeastServer final : public HttpServer {
 public:
  explicit BeastServer(const HttpOptions& options) : options_(options) {}

  Status Open() {
    const auto where = [this] { return fmt::format("{}:{}", options_.host, options_.port); };
    error_code ec;
    const auto found =
        tcp::resolver(context_).resolve(options_.host, std::to_string(options_.port), ec);
    if (ec || found.empty())
      return Fail(Code::kInvalidArgument, "{}: no such address: {}", where(), ec.message());
    const tcp::endpoint endpoint = *found.begin();
    acceptor_.open(endpoint.protocol(), ec);
    if (!ec) acceptor_.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor_.bind(endpoint, ec);
    if (ec) return Fail(Code::kResourceExhausted, "{}: {}", where(), ec.message());
    return {};
  }

  Status Serve(const HttpHandler& handler, const LogLine& log) override {
    error_code ec;
    acceptor_.listen(tcp::acceptor::max_listen_connections, ec);
    if (ec)
      return Fail(Code::kResourceExhausted, "{}:{}: {}", options_.host, options_.port,
                  ec.message());
    asio::signal_set signals(context_, SIGINT, SIGTERM);
    signals.async_wait([&](const error_code&, int) {
      signals.clear();  // back to what the signals do by themselves
      Stop();
    });
    std::ostringstream address;
    address << acceptor_.local_endpoint();
    log("listening on http://" + address.str());
    Accept(handler, log);
    context_.run();
    connections_.clear();  // waits for their threads
    return {};
  }

 private:
  void Accept(const HttpHandler& handler, const LogLine& log) {
    acceptor_.async_accept([&](const error_code& ec, tcp::socket socket) {
      if (stopping_) return;
      if (!ec) {
        Admit(std::move(socket), handler, log);
      } else {
        log("error: accept: " + ec.message());
        std::this_thread::sleep_for(kAfterFailedAccept);
      }
      Accept(handler, log);
    });
  }

  void Admit(tcp::socket socket, const HttpHandler& handler, const LogLine& log) {
    connections_.remove_if([](const Connection& connection) { return connection.done(); });
    if (connections_.size() >= options_.max_connections) return TurnAway(std::move(socket), log);
    try {
      Connection& added = connections_.emplace_back(options_, stopping_);
      added.socket().assign(acceptor_.local_endpoint().protocol(), socket.release());
      added.Start(handler, log);
    } catch (const std::exception& error) {  // out of threads or files
      log(fmt::format("error: connection: {}", error.what()));
    }
  }

  void TurnAway(tcp::socket socket, const LogLine& log) {
    std::ostringstream text;
    text << JsonResponse(503, RenderError({503, "too many connections; try again later"}), 11,
                         false);
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(text.str()), ignored);
    log("503 too many connections");
  }

  void Stop() {
    stopping_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    for (Connection& connection : connections_) connection.StopReading();
  }

  const HttpOptions options_;
  asio::io_context context_;
  tcp::acceptor acceptor_{context_};
  std::atomic<bool> stopping_ = false;
  std::list<Connection> connections_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Bind(const HttpOptions& options) {
  auto server = std::make_unique<BeastServer>(options);
  TERN_TRY(server->Open());
  return server;
}

}  // namespace tern
