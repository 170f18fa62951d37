#include "server/api_error.h"

#include <nlohmann/json.hpp>

namespace tern {
namespace {

const char* ErrorType(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 501:
      return "not_supported_error";
    case 503:
      return "unavailable_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

}  // namespace

std::string RenderError(const ApiError& error) {
  using Json = nlohmann::ordered_json;
  const auto or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  Json body;
  body["error"] = {{"message", error.message},
                   {"type", ErrorType(error.status)},
                   {"param", or_null(error.param)},
                   {"code", or_null(error.code)}};
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<std::pair<std::string, std::string>> ErrorFields(int status) {
  if (status == 401) return {{"WWW-Authenticate", "Bearer"}};
  if (status == 429 || status == 503) return {{"Retry-After", "1"}};
  return {};
}

}  // namespace tern
