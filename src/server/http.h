// What the HTTP layer and those who answer tell each other; no socket and no thread in sight.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tern {

struct HttpRequest {
  std::string id;      // made by the server; in the log and in the field X-Request-Id of the answer
  std::string client;  // its address
  std::string method;  // "GET"
  std::string path;    // without the query
  std::string query;   // what stands behind the first '?'; not decoded
  std::string body;
  std::vector<std::pair<std::string, std::string>> fields;  // of the header

  /// The value of a header field, its name in any case; "" when there is none.
  std::string_view Field(std::string_view name) const;
};

struct HttpHead {
  int status = 200;
  std::string content_type = "application/json";
  /// Further header fields. Must not hold line breaks, nor anything that a client wrote.
  std::vector<std::pair<std::string, std::string>> fields = {};
};

/// The next part of an answer.
struct HttpPart {
  std::optional<HttpHead> head = {};  // with the first part, and only there
  std::string body = {};
  bool last = false;  // first and last: sent with its length; else in chunks
};

/// One answer, which may come in parts over time. Destroyed before its last part was taken: the
/// client is gone, or too slow, or the server stops. Thread rule: one at a time; `wake` may be
/// called from any thread.
class HttpReply {
 public:
  virtual ~HttpReply() = default;

  /// `wake` is called whenever Pull may have something new, at once if it has already. It doesn't
  /// block. Set once, before the first Pull.
  virtual void OnReady(std::function<void()> wake) = 0;

  /// nullopt: nothing yet.
  virtual std::optional<HttpPart> Pull() = 0;

  /// For the log, once it is over: no text of prompts or answers.
  virtual std::string Summary() const { return {}; }
};

/// Called on the server's thread for every request: must not block.
using HttpHandler = std::function<std::unique_ptr<HttpReply>(HttpRequest)>;

/// An answer that is there already.
std::unique_ptr<HttpReply> ReadyReply(HttpHead head, std::string body, std::string summary = {});

/// "GMT" form of RFC 9110, for the field Date.
std::string HttpDate(int64_t unix_seconds);

/// The bytes of an answer's head, up to and with the empty line. `length`: of the body; absent: in
/// chunks, or up to the end of the connection for HTTP/1.0.
struct HeadContext {
  std::string_view request_id = {};
  bool http10 = false;
  bool keep_alive = true;
};
std::string FormatHead(const HttpHead& head, std::optional<size_t> length,
                       const HeadContext& context);
std::string_view ReasonPhrase(int status);

/// A piece of a chunked body. `data` must not be empty: an empty one would end the body.
std::string FormatChunk(std::string_view data);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace tern
