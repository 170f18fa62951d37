#include "server/http.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace tern {
namespace {

constexpr std::string_view kServerName = "tern";

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool SameName(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

class Ready final : public HttpReply {
 public:
  Ready(HttpHead head, std::string body, std::string summary)
      : part_({std::move(head), std::move(body), true}), summary_(std::move(summary)) {}

  void OnReady(std::function<void()> wake) override { wake(); }
  std::optional<HttpPart> Pull() override { return std::exchange(part_, std::nullopt); }
  std::string Summary() const override { return summary_; }

 private:
  std::optional<HttpPart> part_;
  std::string summary_;
};

}  // namespace

std::string_view HttpRequest::Field(std::string_view name) const {
  for (const auto& [found, value] : fields)
    if (SameName(found, name)) return value;
  return {};
}

std::unique_ptr<HttpReply> ReadyReply(HttpHead head, std::string body, std::string summary) {
  return std::make_unique<Ready>(std::move(head), std::move(body), std::move(summary));
}

std::string HttpDate(int64_t unix_seconds) {
  const std::tm utc = fmt::gmtime(static_cast<std::time_t>(unix_seconds));
  return fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", utc);
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Unknown";
  }
}

std::string FormatHead(const HttpHead& head, std::optional<size_t> length,
                       const HeadContext& context) {
  const int64_t now = std::chrono::duration_cast<std::chrono::seconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  std::string out = fmt::format("HTTP/1.1 {} {}\r\nServer: {}\r\nDate: {}\r\n", head.status,
                                ReasonPhrase(head.status), kServerName, HttpDate(now));
  const auto add = [&out](std::string_view name, std::string_view value) {
    fmt::format_to(std::back_inserter(out), "{}: {}\r\n", name, value);
  };
  if (!context.request_id.empty()) add("X-Request-Id", context.request_id);
  if (!head.content_type.empty()) add("Content-Type", head.content_type);
  for (const auto& [name, value] : head.fields) add(name, value);
  if (length) {
    if (head.status != 204 && head.status != 304) add("Content-Length", std::to_string(*length));
  } else if (!context.http10) {
    add("Transfer-Encoding", "chunked");
  }
  if (!context.keep_alive)
    add("Connection", "close");
  else if (context.http10)
    add("Connection", "keep-alive");
  return out + "\r\n";
}

std::string FormatChunk(std::string_view data) {
  return fmt::format("{:x}\r\n{}\r\n", data.size(), data);
}

}  // namespace tern
