#include "server/http_connection.h"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/string.hpp>

#include "server/api_error.h"

namespace tern {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::seconds kLinger(1);
constexpr size_t kReadAhead = 64 << 10;    // bytes of further requests that may wait in received_
constexpr int kClientClosedRequest = 499;  // for the log alone, as nginx has it
constexpr size_t kLoggedPath = 80;
constexpr int kSendBuffer = 128 << 10;

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

// Of a request that is no proper one; 0: none, it was cut short.
int StatusFor(const error_code& ec) {
  if (ec == http::error::body_limit || ec == http::error::buffer_overflow) return 413;
  if (ec == http::error::header_limit) return 431;
  return 400;
}

}  // namespace

HttpConnection::HttpConnection(asio::ip::tcp::socket socket, HttpShared& shared, bool turned_away)
    : socket_(std::move(socket)),
      shared_(shared),
      turned_away_(turned_away),
      event_(socket_.get_executor()),
      room_(socket_.get_executor()) {
  error_code ec;
  client_ = socket_.remote_endpoint(ec).address().to_string();
  socket_.set_option(asio::ip::tcp::no_delay(true), ec);
  // Left to itself, the kernel takes megabytes for a client that reads nothing before it shows.
  socket_.set_option(asio::socket_base::send_buffer_size(kSendBuffer), ec);
  socket_.non_blocking(true, ec);
}

void HttpConnection::Start(std::function<void()> ended) {
  const auto self = shared_from_this();
  const auto executor = socket_.get_executor();
  asio::co_spawn(
      executor, [self] { return self->ReadAhead(); }, asio::detached);
  asio::co_spawn(
      executor, [self] { return self->Run(); },
      [self, ended = std::move(ended)](const std::exception_ptr& thrown) {
        if (thrown) self->shared_.log("error: a connection ended by an exception");
        self->HoldBody(0);
        self->Abort();
        ended();
      });
}

void HttpConnection::Abort() {
  closing_ = true;
  ended_ = true;
  error_code ignored;
  socket_.close(ignored);
  event_.Set();
  room_.Set();
}

void HttpConnection::CloseIfIdle() {
  if (!busy_) Abort();
}

asio::awaitable<void> HttpConnection::ReadAhead() {
  const size_t most = kReadAhead + shared_.options.max_header;
  while (!ended_) {
    if (received_.size() >= most && !closing_) {
      co_await room_.Wait(HttpEvent::kNever);
      continue;
    }
    const auto [ec, size] = co_await socket_.async_read_some(asio::buffer(incoming_), kToken);
    if (ec) ended_ = true;
    if (!closing_) received_.append(incoming_.data(), size);
    event_.Set();
  }
}

asio::awaitable<void> HttpConnection::Run() {
  if (turned_away_) {
    BeginRequest();
    co_await Refuse(503, "too many connections; try again later");
  } else {
    bool more = true;
    while (more) more = co_await ServeOne();
    HoldBody(0);
  }
  co_await Linger();
}

void HttpConnection::BeginRequest() {
  busy_ = true;
  begun_ = Clock::now();
  request_id_ = fmt::format("req-{}{:08x}", shared_.id_prefix, shared_.next_request++);
}

asio::awaitable<bool> HttpConnection::ServeOne() {
  keep_alive_ = http10_ = head_only_ = chunked_ = false;
  status_ = 0;
  Parser parser;
  if (!co_await ReadRequest(parser)) co_return false;
  const auto& message = parser.get();
  http10_ = message.version() < 11;
  head_only_ = message.method() == http::verb::head;
  keep_alive_ = message.keep_alive() && !shared_.stopping;
  if (shared_.stopping) {
    co_await Refuse(503, "the server is stopping");
    co_return false;
  }
  HttpRequest request = ToRequest(parser);
  const std::string method = request.method, path = request.path;
  const std::unique_ptr<HttpReply> reply = shared_.handler(std::move(request));
  const bool sent = co_await Answer(*reply);
  if (!sent) status_ = kClientClosedRequest;
  Log(method, path, reply->Summary());
  if (!sent || !keep_alive_ || shared_.stopping) co_return false;
  ++served_;
  busy_ = false;
  shared_.on_quiet();
  co_return true;
}

void HttpConnection::HoldBody(size_t bytes) {
  shared_.body_bytes += bytes - body_held_;
  body_held_ = bytes;
}

int HttpConnection::Feed(Parser& parser, error_code& error) {
  const HttpOptions& options = shared_.options;
  if (parsed_ == 0) {
    // Method, blank, URL, blank, version: a first line that has not ended by then has a URL beyond
    // the limit.
    constexpr size_t kRestOfLine = 32;
    const size_t line = std::min(received_.find('\n'), received_.size());
    if (line > options.max_url + kRestOfLine) return 414;
  }
  const size_t used = parser.put(asio::buffer(received_), error);
  received_.erase(0, used);
  parsed_ += used;
  if (used > 0) room_.Set();
  if (error == http::error::need_more) error = {};
  HoldBody(parser.get().body().size());
  if (body_held_ > 0 && shared_.body_bytes > options.max_bodies) return 503;
  if (parser.is_header_done() && parser.get().target().size() > options.max_url) return 414;
  return error ? StatusFor(error) : 0;
}

asio::awaitable<bool> HttpConnection::ReadRequest(Parser& parser) {
  constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
  parser.header_limit(static_cast<uint32_t>(shared_.options.max_header));
  parser.body_limit(shared_.options.max_body);
  parser.eager(true);
  parsed_ = 0;
  bool begun = false, told_to_go_on = false;
  Clock::time_point deadline = Clock::now() + shared_.options.idle_timeout;
  for (;;) {
    if (!received_.empty() && !begun) {
      begun = true;
      BeginRequest();
      deadline = begun_ + shared_.options.timeout;
    }
    while (!received_.empty()) {
      const size_t before = received_.size();
      error_code error;
      if (const int status = Feed(parser, error); status != 0) {
        const std::string message = status == 503 ? "too many large requests; try again later"
                                    : error       ? error.message()
                                                  : "the URL is too long";
        co_await Refuse(status, message);
        co_return false;
      }
      if (parser.is_done()) co_return true;
      if (received_.size() == before) break;
    }
    if (ended_ || (shared_.stopping && !begun && served_ > 0)) co_return false;
    if (parser.is_header_done() && !told_to_go_on &&
        beast::iequals(parser.get()[http::field::expect], "100-continue")) {
      told_to_go_on = true;
      std::string go_on(kGoOn);
      if (!co_await Send(std::move(go_on))) co_return false;
    }
    if (co_await event_.Wait(deadline)) continue;
    if (begun) co_await Refuse(408, "the request did not arrive in time");
    co_return false;
  }
}

HttpRequest HttpConnection::ToRequest(Parser& parser) const {
  auto& message = parser.get();
  const std::string_view target = View(message.target());
  HttpRequest request;
  request.id = request_id_;
  request.client = client_;
  request.method = View(message.method_string());
  const size_t end = std::min(target.find('?'), target.size());
  request.path = target.substr(0, end);
  request.query = target.substr(std::min(end + 1, target.size()));
  request.body = std::move(message.body());
  for (const auto& field : message)
    request.fields.emplace_back(View(field.name_string()), View(field.value()));
  return request;
}

asio::awaitable<bool> HttpConnection::Answer(HttpReply& reply) {
  reply.OnReady([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    const auto executor = self->socket_.get_executor();
    asio::post(executor, [weak] {
      if (const auto waiting = weak.lock()) waiting->event_.Set();
    });
  });
  for (;;) {
    while (std::optional<HttpPart> part = reply.Pull()) {
      const bool last = part->last;
      HoldBody(0);  // read, or there would be no answer
      if (!co_await SendPart(std::move(*part))) co_return false;
      if (last) co_return true;
    }
    if (ended_) co_return false;  // nobody waits for the rest
    co_await event_.Wait(HttpEvent::kNever);
  }
}

asio::awaitable<bool> HttpConnection::SendPart(HttpPart part) {
  std::string bytes;
  if (part.head) {
    status_ = part.head->status;
    if (shared_.stopping) keep_alive_ = false;
    std::optional<size_t> length;
    if (part.last) length = part.body.size();
    chunked_ = !part.last && !http10_;
    if (!part.last && http10_) keep_alive_ = false;
    bytes = FormatHead(*part.head, length,
                       {.request_id = request_id_, .http10 = http10_, .keep_alive = keep_alive_});
  }
  if (!head_only_) {
    if (!chunked_)
      bytes += part.body;
    else if (!part.body.empty())
      bytes += FormatChunk(part.body);
    if (chunked_ && part.last) bytes += kLastChunk;
  }
  co_return co_await Send(std::move(bytes));
}

asio::awaitable<bool> HttpConnection::Send(std::string bytes) {
  size_t done = 0;
  error_code ec;
  while (done < bytes.size()) {
    done += socket_.write_some(asio::buffer(bytes.data() + done, bytes.size() - done), ec);
    if (!ec) continue;
    if (ec != asio::error::would_block && ec != asio::error::try_again) co_return false;
    // The client is slower than the model: from here on it is timed.
    asio::steady_timer timer(socket_.get_executor(), shared_.options.timeout);
    timer.async_wait([self = shared_from_this()](const error_code& cancelled) {
      if (!cancelled) self->Abort();
    });
    const asio::const_buffer rest(bytes.data() + done, bytes.size() - done);
    const auto [failed, size] = co_await asio::async_write(socket_, rest, kToken);
    timer.cancel();
    co_return !failed;
  }
  co_return true;
}

asio::awaitable<void> HttpConnection::Refuse(int status, std::string_view message) {
  keep_alive_ = false;
  HttpPart part{HttpHead{.status = status, .fields = ErrorFields(status)},
                RenderError({status, std::string(message)}), true};
  co_await SendPart(std::move(part));
  Log("-", "-", "refused");
}

void HttpConnection::Log(std::string_view method, std::string_view path,
                         const std::string& summary) {
  const std::chrono::duration<double> seconds = Clock::now() - begun_;
  shared_.log(fmt::format("{} {} {} {} {}{}{}, {:.3f} s", request_id_, client_, method,
                          path.substr(0, kLoggedPath), status_, summary.empty() ? "" : " ", summary,
                          seconds.count()));
}

// Closing while the client still sends would reset the connection, and the client might never see
// the answer: what it sends is read and dropped for a moment.
asio::awaitable<void> HttpConnection::Linger() {
  closing_ = true;
  received_.clear();
  room_.Set();
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  const Clock::time_point deadline = Clock::now() + kLinger;
  bool in_time = true;
  while (!ended_ && in_time) in_time = co_await event_.Wait(deadline);
}

}  // namespace tern
