#include "server/http_server.h"

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <random>
#include <sstream>
#include <thread>
#include <unordered_set>

#include "server/http_connection.h"

namespace tern {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kAfterFailedAccept(100);
// Connections beyond the limit that are told so; more are closed without a word.
constexpr size_t kTurnedAwayAtOnce = 64;

std::string RandomPrefix() {
  std::random_device device;
  return fmt::format("{:08x}", device());
}

class BeastServer final : public HttpServer {
 public:
  explicit BeastServer(const HttpOptions& options) : shared_{.options = options} {}
  ~BeastServer() override { Shutdown(std::chrono::milliseconds(0)); }

  Status Open() {
    const HttpOptions& options = shared_.options;
    const auto where = [&] { return fmt::format("{}:{}", options.host, options.port); };
    error_code ec;
    const auto found =
        tcp::resolver(context_).resolve(options.host, std::to_string(options.port), ec);
    if (ec || found.empty())
      return Fail(Code::kInvalidArgument, "{}: no such address: {}", where(), ec.message());
    const tcp::endpoint endpoint = *found.begin();
    acceptor_.open(endpoint.protocol(), ec);
    if (!ec) acceptor_.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor_.bind(endpoint, ec);
    if (ec) return Fail(Code::kResourceExhausted, "{}: {}", where(), ec.message());
    return {};
  }

  Status Start(HttpHandler handler, Log log, std::function<void()> on_hangup) override {
    error_code ec;
    acceptor_.listen(tcp::acceptor::max_listen_connections, ec);
    if (ec)
      return Fail(Code::kResourceExhausted, "{}:{}: {}", shared_.options.host, shared_.options.port,
                  ec.message());
    shared_.handler = std::move(handler);
    shared_.log = std::move(log);
    shared_.id_prefix = RandomPrefix();
    shared_.on_quiet = [this] { EndWhenQuiet(); };
    on_hangup_ = std::move(on_hangup);
    port_ = acceptor_.local_endpoint().port();
    std::ostringstream address;
    address << acceptor_.local_endpoint();
    shared_.log("listening on http://" + address.str());
    asio::co_spawn(
        context_, [this] { return Accept(); }, asio::detached);
    asio::co_spawn(
        context_, [this] { return WatchSignals(); }, asio::detached);
    thread_ = std::thread([this] { context_.run(); });
    return {};
  }

  uint16_t port() const override { return port_; }
  bool Stopping() const override { return stopping_; }

  void Stop() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    stopped_.notify_all();
    asio::post(context_, [this] {
      shared_.stopping = true;
      // Who waits between two requests isn't told anything: it would take that for an answer.
      for (HttpConnection* connection : Snapshot()) connection->CloseIfIdle();
    });
  }

  void WaitForStop() override {
    std::unique_lock lock(mutex_);
    stopped_.wait(lock, [this] { return stopping_.load(); });
  }

  void Shutdown(std::chrono::milliseconds grace) override {
    if (!thread_.joinable()) return;
    Stop();
    asio::post(context_, [this, grace] {
      ending_ = true;
      grace_.expires_after(grace);
      grace_.async_wait([this](const error_code& cancelled) {
        if (!cancelled) EndNow();
      });
      EndWhenQuiet();
    });
    thread_.join();
  }

  HttpStats Stats() const override {
    return {.connections = open_, .accepted = accepted_, .turned_away = turned_away_};
  }

 private:
  asio::awaitable<void> Accept() {
    while (acceptor_.is_open()) {
      auto [ec, socket] = co_await acceptor_.async_accept(kToken);
      if (ec == asio::error::operation_aborted) co_return;
      if (!ec) {
        Admit(std::move(socket));
        continue;
      }
      shared_.log("error: accept: " + ec.message());  // out of files: a moment later there may be
      asio::steady_timer pause(context_, kAfterFailedAccept);
      co_await pause.async_wait(kToken);
    }
  }

  void Admit(tcp::socket socket) {
    const size_t most = shared_.options.max_connections;
    const bool full = connections_.size() >= most;
    if (full) ++turned_away_;
    if (connections_.size() >= most + kTurnedAwayAtOnce) return;
    ++accepted_;
    ++open_;
    const auto added = std::make_shared<HttpConnection>(std::move(socket), shared_, full);
    connections_.insert(added.get());
    added->Start([this, connection = added.get()] {
      connections_.erase(connection);
      --open_;
      EndWhenQuiet();
    });
  }

  asio::awaitable<void> WatchSignals() {
    for (;;) {
      const auto [ec, number] = co_await signals_.async_wait(kToken);
      if (ec) co_return;
      if (number == SIGHUP) {
        if (on_hangup_) on_hangup_();
        continue;
      }
      signals_.clear();  // back to what the signals do by themselves
      Stop();
      co_return;
    }
  }

  std::vector<HttpConnection*> Snapshot() const {
    return {connections_.begin(), connections_.end()};
  }

  /// The thread ends once nobody is being answered any more.
  void EndWhenQuiet() {
    if (!ending_) return;
    for (const HttpConnection* connection : connections_)
      if (connection->busy()) return;
    EndNow();
  }

  /// With nothing left to wait for, context_.run() returns.
  void EndNow() {
    error_code ignored;
    grace_.cancel();
    acceptor_.close(ignored);
    signals_.cancel(ignored);
    for (HttpConnection* connection : Snapshot()) connection->Abort();
  }

  asio::io_context context_{1};
  HttpShared shared_;
  tcp::acceptor acceptor_{context_};
  asio::signal_set signals_{context_, SIGINT, SIGTERM, SIGHUP};
  asio::steady_timer grace_{context_};
  std::unordered_set<HttpConnection*> connections_;
  std::function<void()> on_hangup_;
  bool ending_ = false;
  uint16_t port_ = 0;
  std::atomic<uint64_t> open_ = 0, accepted_ = 0, turned_away_ = 0;
  std::mutex mutex_;  // guards changes of stopping_
  std::condition_variable stopped_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Bind(const HttpOptions& options) {
  auto server = std::make_unique<BeastServer>(options);
  TERN_TRY(server->Open());
  return server;
}

}  // namespace tern
