#include "server/http_client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace tern {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Tcp = asio::ip::tcp;

// A GET in the making: one step after the other, each against the clock.
class Exchange {
 public:
  Exchange(const HttpUrl& url, std::chrono::milliseconds timeout) : url_(url), timeout_(timeout) {
    response_.body_limit(kMostBytes);
  }

  Result<HttpAnswer> Run(const std::string& key) {
    beast::error_code error;
    const auto addresses = Tcp::resolver(io_).resolve(url_.host, url_.port, error);
    if (error) return Failure(error);
    error = Step([&](auto done) {
      stream_.async_connect(addresses,
                            [done](beast::error_code e, const Tcp::endpoint&) { done(e); });
    });
    if (error) return Failure(error);
    http::request<http::empty_body> request(http::verb::get, url_.path, 11);
    request.set(http::field::host, url_.host);
    request.set(http::field::user_agent, "tern");
    request.set(http::field::connection, "close");
    if (!key.empty()) request.set(http::field::authorization, "Bearer " + key);
    error = Step([&](auto done) {
      http::async_write(stream_, request, [done](beast::error_code e, size_t) { done(e); });
    });
    if (error) return Failure(error);
    error = Step([&](auto done) {
      http::async_read(stream_, buffer_, response_,
                       [done](beast::error_code e, size_t) { done(e); });
    });
    if (error) return Failure(error);
    return HttpAnswer{static_cast<int>(response_.get().result_int()),
                      std::move(response_.get().body())};
  }

 private:
  template <class Begin>
  beast::error_code Step(const Begin& begin) {
    beast::error_code result;
    stream_.expires_after(timeout_);
    begin([&result](beast::error_code error) { result = error; });
    io_.restart();
    io_.run();
    return result;
  }

  tl::unexpected<Error> Failure(const beast::error_code& error) const {
    const Code code =
        error == beast::error::timeout ? Code::kCancelled
        : error.category() == http::make_error_code(http::error::end_of_stream).category()
            ? Code::kCorrupt
            : Code::kNotFound;
    return Fail(code, "http://{}:{}: {}", url_.host, url_.port, error.message());
  }

  const HttpUrl& url_;
  const std::chrono::milliseconds timeout_;
  asio::io_context io_;
  beast::tcp_stream stream_{io_};
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> response_;
};

bool IsPort(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool IsPlain(std::string_view text) {
  for (const char c : text)
    if (c <= ' ' || c == '\x7f') return false;
  return true;
}

}  // namespace

Result<HttpUrl> ParseHttpUrl(std::string_view url) {
  const auto wrong = [&] {
    return Fail(Code::kInvalidArgument, "URL: found '{}', expected http://HOST[:PORT][/PATH]", url);
  };
  constexpr std::string_view kScheme = "http://";
  if (url.starts_with("https://"))
    return Fail(Code::kUnsupported, "URL '{}': expected http://, there is no TLS here", url);
  if (!url.starts_with(kScheme) || !IsPlain(url)) return wrong();
  const std::string_view rest = url.substr(kScheme.size());
  const std::string_view place = rest.substr(0, rest.find('/'));
  HttpUrl result{
      .host = std::string(place), .port = "80", .path = std::string(rest.substr(place.size()))};
  const size_t bracket = place.rfind(']');
  const size_t colon = place.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon != std::string_view::npos) {
    result.host = place.substr(0, colon);
    result.port = place.substr(colon + 1);
  }
  if (result.host.starts_with('[') && result.host.ends_with(']'))
    result.host = result.host.substr(1, result.host.size() - 2);
  if (result.host.empty() || !IsPort(result.port)) return wrong();
  if (result.path.empty()) result.path = "/";
  return result;
}

Result<HttpAnswer> HttpGet(const HttpUrl& url, const std::string& key,
                           std::chrono::milliseconds timeout) {
  return Exchange(url, timeout).Run(key);
}

}  // namespace tern
