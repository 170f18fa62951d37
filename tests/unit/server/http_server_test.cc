// The server over real sockets, with handlers that need no model.
#include "server/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <csignal>
#include <future>
#include <mutex>
#include <thread>

namespace tern {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// An answer that the test puts together, part by part, from its own thread.
class Script {
 public:
  void Add(HttpPart part) {
    std::function<void()> wake;
    {
      const std::lock_guard lock(mutex_);
      parts_.push_back(std::move(part));
      wake = wake_;
    }
    if (wake) wake();
  }
  void OnReady(std::function<void()> wake) {
    const std::lock_guard lock(mutex_);
    wake_ = wake;
    if (!parts_.empty()) wake();
    begun_.set_value();
  }
  std::optional<HttpPart> Take() {
    const std::lock_guard lock(mutex_);
    if (parts_.empty()) return std::nullopt;
    HttpPart part = std::move(parts_.front());
    parts_.erase(parts_.begin());
    return part;
  }
  void WaitUntilBegun() { begun_.get_future().wait(); }
  void Dropped() { dropped_.set_value(); }
  void WaitUntilDropped() { dropped_.get_future().wait(); }

 private:
  std::mutex mutex_;
  std::vector<HttpPart> parts_;
  std::function<void()> wake_;
  std::promise<void> begun_, dropped_;
};

class ScriptReply final : public HttpReply {
 public:
  explicit ScriptReply(Script& script) : script_(script) {}
  ~ScriptReply() override { script_.Dropped(); }
  void OnReady(std::function<void()> wake) override { script_.OnReady(std::move(wake)); }
  std::optional<HttpPart> Pull() override { return script_.Take(); }

 private:
  Script& script_;
};

class Client {
 public:
  explicit Client(uint16_t port) : socket_(context_) {
    socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
  }
  void Send(std::string_view text) { boost::asio::write(socket_, boost::asio::buffer(text)); }
  /// Up to the end of the connection, or `size` bytes.
  std::string Receive(size_t size = std::string::npos) {
    std::string out;
    char c[4096];
    error_code ec;
    while (!ec && out.size() < size) {
      const size_t n =
          socket_.read_some(boost::asio::buffer(c, std::min(sizeof(c), size - out.size())), ec);
      out.append(c, n);
    }
    return out;
  }
  /// Up to and with this text.
  std::string ReceiveUntil(std::string_view end) {
    std::string out;
    while (!out.ends_with(end)) {
      const std::string c = Receive(1);
      if (c.empty()) break;
      out += c;
    }
    return out;
  }
  void Close() { socket_.close(); }
  void EndSending() { socket_.shutdown(tcp::socket::shutdown_send); }
  tcp::socket& socket() { return socket_; }

 private:
  boost::asio::io_context context_;
  tcp::socket socket_;
};

class HttpServing : public testing::Test {
 protected:
  void Serve(HttpOptions options = {}) {
    options.port = 0;
    auto server = HttpServer::Bind(options);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    const Status started =
        server_->Start([this](HttpRequest request) { return Handle(std::move(request)); },
                       [this](const std::string& line) {
                         const std::lock_guard lock(mutex_);
                         lines_.push_back(line);
                       },
                       [this] { hung_up_.set_value(); });
    ASSERT_TRUE(started) << started.error().message;
  }

  std::unique_ptr<HttpReply> Handle(HttpRequest request) {
    if (request.path == "/script") return std::make_unique<ScriptReply>(script_);
    if (request.path == "/throw") throw std::runtime_error("on purpose");
    return ReadyReply({}, request.method + " " + request.path + " " + request.body);
  }

  std::string Ask(std::string_view bytes) {
    Client client(server_->port());
    client.Send(bytes);
    return client.Receive();
  }

  std::vector<std::string> Lines() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

  Script script_;
  std::promise<void> hung_up_;
  std::mutex mutex_;
  std::vector<std::string> lines_;
  std::unique_ptr<HttpServer> server_;  // first to go: it uses the others
};

TEST_F(HttpServing, AnswersAndKeepsTheConnection) {
  Serve();
  Client client(server_->port());
  for (int i = 0; i < 3; ++i) {
    client.Send("POST /a?q=1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyz");
    EXPECT_THAT(client.ReceiveUntil("POST /a xyz"), StartsWith("HTTP/1.1 200 OK\r\n"));
  }
  client.Send("GET /b HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.Receive(), EndsWith("GET /b "));
  EXPECT_EQ(server_->Stats().accepted, 1u);
}

TEST_F(HttpServing, AnswersPipelinedRequestsInTheirOrder) {
  Serve();
  Client client(server_->port());
  std::string requests;
  for (int i = 0; i < 200; ++i)
    requests += "POST /" + std::to_string(i) + " HTTP/1.1\r\nContent-Length: 1\r\n\r\n.";
  client.Send(requests);
  for (int i = 0; i < 200; ++i) {
    const std::string end = "POST /" + std::to_string(i) + " .";
    EXPECT_THAT(client.ReceiveUntil(end), EndsWith(end));
  }
}

TEST_F(HttpServing, StreamsPartsAsTheyCome) {
  Serve();
  Client client(server_->port());
  client.Send("GET /script HTTP/1.1\r\n\r\n");
  script_.WaitUntilBegun();
  script_.Add({.head = HttpHead{.content_type = "text/event-stream"}, .body = "one"});
  EXPECT_THAT(client.ReceiveUntil("3\r\none\r\n"), HasSubstr("Transfer-Encoding: chunked"));
  script_.Add({.body = "two"});
  EXPECT_EQ(client.Receive(8), "3\r\ntwo\r\n");
  script_.Add({.last = true});
  EXPECT_EQ(client.Receive(5), "0\r\n\r\n");
  client.Send("GET /next HTTP/1.1\r\n\r\n");
  EXPECT_THAT(client.ReceiveUntil("GET /next "), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServing, OldClientsGetStreamsThatEndWithTheConnection) {
  Serve();
  Client client(server_->port());
  client.Send("GET /script HTTP/1.0\r\n\r\n");
  script_.WaitUntilBegun();
  script_.Add({.head = HttpHead{}, .body = "one"});
  script_.Add({.body = "two", .last = true});
  EXPECT_THAT(client.Receive(), EndsWith("\r\n\r\nonetwo"));
}

TEST_F(HttpServing, AnAnswerToHeadHasNoBody) {
  Serve();
  const std::string answer = Ask("HEAD /a HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 8\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(HttpServing, TheReplyOfAClientThatLeavesIsDropped) {
  Serve();
  Client client(server_->port());
  client.Send("GET /script HTTP/1.1\r\n\r\n");
  script_.WaitUntilBegun();
  client.Close();
  script_.WaitUntilDropped();
}

TEST_F(HttpServing, AClientThatSendsNoMoreCountsAsGone) {
  Serve();
  Client client(server_->port());
  client.Send("GET /script HTTP/1.1\r\n\r\nGET /next HTTP/1.1\r\n\r\n");
  script_.WaitUntilBegun();
  client.EndSending();
  script_.WaitUntilDropped();
  EXPECT_EQ(client.Receive(), "");
}

TEST_F(HttpServing, AReaderThatStopsReadingIsDisconnected) {
  Serve({.timeout = std::chrono::milliseconds(100)});
  Client client(server_->port());
  client.socket().set_option(boost::asio::socket_base::receive_buffer_size(4096));
  client.Send("GET /script HTTP/1.1\r\n\r\n");
  script_.WaitUntilBegun();
  script_.Add({.head = HttpHead{}, .body = std::string(32 << 20, 'a')});  // more than sockets hold
  script_.WaitUntilDropped();
}

TEST_F(HttpServing, BoundsUrlHeaderAndBody) {
  Serve({.max_body = 10, .max_header = 2000, .max_url = 100});
  EXPECT_THAT(Ask("GET /" + std::string(101, 'a') + " HTTP/1.1\r\n\r\n"),
              StartsWith("HTTP/1.1 414 "));
  EXPECT_THAT(Ask("GET /" + std::string(1500, 'a')), StartsWith("HTTP/1.1 414 "));  // no end
  EXPECT_THAT(Ask("GET / HTTP/1.1\r\nX: " + std::string(2000, 'a') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(
      Ask("GET / HTTP/1.1\r\nX: " + std::string(1000, 'a') + "\r\nConnection: close\r\n\r\n"),
      StartsWith("HTTP/1.1 200 "));  // a field may be longer than a URL
  EXPECT_THAT(Ask("POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n"), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(Ask("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(Ask("nothing of HTTP\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(HttpServing, BoundsTheBodiesOfAllRequestsTogether) {
  Serve({.max_bodies = 10});
  Client first(server_->port());
  first.Send("POST /script HTTP/1.1\r\nContent-Length: 8\r\n\r\n12345678");
  script_.WaitUntilBegun();
  const std::string post = "POST /a HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
  const std::string refused = Ask(post);
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(refused, HasSubstr("Retry-After"));
  EXPECT_THAT(Ask("GET /a HTTP/1.1\r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
  script_.Add({.head = HttpHead{}, .body = "begun"});
  first.ReceiveUntil("begun");
  EXPECT_THAT(Ask(post), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServing, AClientMayWaitForTheWordToSendItsBody) {
  Serve();
  Client client(server_->port());
  client.Send("POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.Receive(25), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("ab");
  EXPECT_THAT(client.ReceiveUntil("POST /a ab"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServing, WhoSendsTooSlowlyIsToldAndWhoIsIdleIsNot) {
  Serve({.timeout = std::chrono::milliseconds(50), .idle_timeout = std::chrono::milliseconds(50)});
  EXPECT_THAT(Ask("GET / HT"), StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(Ask("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n1"), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(Ask(""), "");
}

TEST_F(HttpServing, ConnectionsBeyondTheLimitAreTurnedAway) {
  Serve({.max_connections = 1});
  Client first(server_->port());
  first.Send("GET /a HTTP/1.1\r\n\r\n");
  first.ReceiveUntil("GET /a ");
  EXPECT_THAT(Ask(""), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(server_->Stats().turned_away, 1u);
}

TEST_F(HttpServing, AHandlerThatThrowsCostsItsOwnConnection) {
  Serve();
  EXPECT_EQ(Ask("GET /throw HTTP/1.1\r\n\r\n"), "");
  EXPECT_THAT(Ask("GET /a HTTP/1.1\r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServing, StoppingFinishesWhatHasBegunAndRefusesTheRest) {
  Serve();
  Client busy(server_->port()), idle(server_->port());
  idle.Send("GET /a HTTP/1.1\r\n\r\n");
  idle.ReceiveUntil("GET /a ");
  busy.Send("GET /script HTTP/1.1\r\n\r\n");
  script_.WaitUntilBegun();
  script_.Add({.head = HttpHead{}, .body = "one"});
  busy.ReceiveUntil("one\r\n");
  std::raise(SIGTERM);
  server_->WaitForStop();
  EXPECT_EQ(idle.Receive(), "");  // closed, as nothing was asked
  EXPECT_THAT(Ask("GET /a HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 503 "));
  std::thread shutdown([this] { server_->Shutdown(std::chrono::hours(1)); });
  script_.Add({.body = "two", .last = true});
  EXPECT_EQ(busy.Receive(), "3\r\ntwo\r\n0\r\n\r\n");
  shutdown.join();
}

TEST_F(HttpServing, AfterItsGraceAShutdownCutsOff) {
  Serve();
  Client busy(server_->port());
  busy.Send("GET /script HTTP/1.1\r\n\r\n");
  script_.WaitUntilBegun();
  server_->Shutdown(std::chrono::milliseconds(1));
  EXPECT_EQ(busy.Receive(), "");
  script_.WaitUntilDropped();
}

TEST_F(HttpServing, HangupIsPassedOn) {
  Serve();
  std::raise(SIGHUP);
  hung_up_.get_future().wait();
  EXPECT_FALSE(server_->Stopping());
}

TEST_F(HttpServing, EveryRequestHasItsIdAndALineInTheLog) {
  Serve();
  const std::string answer = Ask("GET /a?secret HTTP/1.1\r\nConnection: close\r\n\r\n");
  const size_t at = answer.find("X-Request-Id: ") + 14;
  const std::string id = answer.substr(at, answer.find('\r', at) - at);
  server_->Shutdown(std::chrono::milliseconds(0));
  EXPECT_THAT(Lines(), testing::Contains(StartsWith(id + " 127.0.0.1 GET /a 200, ")));
  EXPECT_THAT(Lines(), testing::Not(testing::Contains(HasSubstr("secret"))));
}

TEST(HttpServerBind, TellsAnAddressThatIsTakenOrWrong) {
  auto first = HttpServer::Bind({.port = 0});
  ASSERT_TRUE(first);
  ASSERT_TRUE((*first)->Start([](HttpRequest) { return ReadyReply({}, ""); },
                              [](const std::string&) {}, [] {}));
  const auto second = HttpServer::Bind({.port = (*first)->port()});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kResourceExhausted);
  EXPECT_THAT(second.error().message, HasSubstr(std::to_string((*first)->port())));
  const auto wrong = HttpServer::Bind({.host = "256.1.1.1.invalid"});
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("256.1.1.1.invalid"));
}

}  // namespace
}  // namespace tern
