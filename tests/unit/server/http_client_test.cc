#include "server/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio.hpp>
#include <thread>

namespace tern {
namespace {

using testing::HasSubstr;
using Tcp = boost::asio::ip::tcp;

TEST(HttpUrl, Parts) {
  const auto url = ParseHttpUrl("http://host");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "host");
  EXPECT_EQ(url->port, "80");
  EXPECT_EQ(url->path, "/");
  const auto full = ParseHttpUrl("http://[::1]:8080/a/b?c");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->host, "::1");
  EXPECT_EQ(full->port, "8080");
  EXPECT_EQ(full->path, "/a/b?c");
  EXPECT_EQ(ParseHttpUrl("https://host").error().code, Code::kUnsupported);
  for (const char* bad : {"", "host:80", "http://", "http://:80", "http://h:", "http://h:x",
                          "http://h:123456", "http://h\r\nX: y/", "http://[::1"})
    EXPECT_EQ(ParseHttpUrl(bad).error().code, Code::kInvalidArgument) << bad;
}

// A server for one connection, which answers with these bytes whatever it is asked.
class OneAnswer {
 public:
  explicit OneAnswer(std::string bytes, bool silent = false)
      : acceptor_(io_, {boost::asio::ip::address_v4::loopback(), 0}),
        thread_([this, bytes = std::move(bytes), silent] {
          Tcp::socket socket(io_);
          boost::system::error_code error;
          acceptor_.accept(socket, error);
          boost::asio::read_until(socket, boost::asio::dynamic_buffer(asked_), "\r\n\r\n", error);
          boost::asio::write(socket, boost::asio::buffer(bytes), error);
          // Silent: until the client has had enough.
          std::string more;
          if (silent) boost::asio::read(socket, boost::asio::dynamic_buffer(more), error);
        }) {}
  ~OneAnswer() {
    if (thread_.joinable()) thread_.join();
  }

  HttpUrl url() const {
    return {"127.0.0.1", std::to_string(acceptor_.local_endpoint().port()), "/metrics"};
  }
  /// Waits for the thread's end.
  const std::string& asked() {
    if (thread_.joinable()) thread_.join();
    return asked_;
  }

 private:
  boost::asio::io_context io_;
  Tcp::acceptor acceptor_;
  std::string asked_;
  std::thread thread_;
};

constexpr std::chrono::seconds kPatience(20);

TEST(HttpGet, TakesStatusAndBody) {
  OneAnswer server("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello");
  const auto answer = HttpGet(server.url(), "secret", kPatience);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 404);
  EXPECT_EQ(answer->body, "hello");
  EXPECT_THAT(server.asked(), HasSubstr("GET /metrics HTTP/1.1\r\n"));
  EXPECT_THAT(server.asked(), HasSubstr("Authorization: Bearer secret\r\n"));
}

TEST(HttpGet, FaultsNameTheHost) {
  {
    OneAnswer server("what?\r\n\r\n");
    const auto answer = HttpGet(server.url(), "", kPatience);
    EXPECT_EQ(answer.error().code, Code::kCorrupt);
    EXPECT_THAT(answer.error().message, HasSubstr("http://127.0.0.1:" + server.url().port));
  }
  {
    OneAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
    EXPECT_EQ(HttpGet(server.url(), "", kPatience).error().code, Code::kCorrupt);
  }
  {
    OneAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", true);
    EXPECT_EQ(HttpGet(server.url(), "", std::chrono::milliseconds(50)).error().code,
              Code::kCancelled);
  }
  HttpUrl nobody;
  {
    OneAnswer server("HTTP/1.1 200 OK\r\n\r\n");
    nobody = server.url();
    EXPECT_TRUE(HttpGet(nobody, "", kPatience));
  }
  EXPECT_EQ(HttpGet(nobody, "", kPatience).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace tern
