// The page of the server, web/, as bytes in the program.
#pragma once

#include <span>
#include <string_view>

namespace tern {

struct WebFile {
  std::string_view path;  // "/" for index.html, "/web/<name>" for every other file
  std::string_view content_type;
  std::string_view bytes;
  std::string_view etag;  // with its quotes; from the bytes alone
};

/// Every file of src/server/web, made by cmake/embed.cmake. Thread rule: any thread.
std::span<const WebFile> WebFiles();

/// The Content-Security-Policy header that belongs to these files: nothing inline, nothing from
/// elsewhere, in nobody's frame.
inline constexpr std::string_view kWebSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace tern
