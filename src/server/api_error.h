// What a client is told instead of an answer.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace tern {

struct ApiError {
  int status = 400;  // of HTTP
  std::string message;
  std::string param = {};  // the field at fault; empty: null in JSON
  std::string code = {};   // empty: null in JSON
};

template <class T>
using ApiResult = tl::expected<T, ApiError>;
using ApiStatus = ApiResult<void>;

/// OpenAI's object {"error":{"message","type","param","code"}}; the type follows from the status.
/// Bytes that are not UTF-8 are replaced.
std::string RenderError(const ApiError& error);

/// Header fields that belong to a status, e.g. Retry-After for 429.
std::vector<std::pair<std::string, std::string>> ErrorFields(int status);

/// Returns the error of an ApiResult expression, if it is one.
#define TERN_TRY_API(expr)                                                    \
  do {                                                                        \
    if (auto api_status = (expr); !api_status)                                \
      return tl::unexpected<::tern::ApiError>(std::move(api_status.error())); \
  } while (false)

}  // namespace tern
