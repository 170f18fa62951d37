// One GET over plain HTTP: how `tern top` reads a server's /metrics.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tern {

struct HttpUrl {
  std::string host, port, path;
};

/// "http://HOST[:PORT][/PATH]", where HOST may be an address, [::1] too. Errors: kInvalidArgument,
/// kUnsupported for https.
Result<HttpUrl> ParseHttpUrl(std::string_view url);

struct HttpAnswer {
  int status = 0;
  std::string body;  // at most kMostBytes
};

inline constexpr size_t kMostBytes = size_t{16} << 20;

/// Waits, for each step at most `timeout`. key: sent as a bearer token unless it is empty. Errors:
/// kNotFound when nobody answers there, kCancelled when it takes too long, kCorrupt for an answer
/// that isn't HTTP or is too long; each names the host.
Result<HttpAnswer> HttpGet(const HttpUrl& url, const std::string& key,
                           std::chrono::milliseconds timeout);

}  // namespace tern
