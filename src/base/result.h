// Errors as values. A failure on account of input (a file, a request, the environment) travels as
// Result<T>, and each level that knows more puts its context in front: "model.gguf: tensor
// 'blk.3.attn_q.weight': found ..., expected ...".
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace tern {

enum class Code : uint8_t {
  kInvalidArgument,    // the caller's request makes no sense
  kNotFound,           // a file, a key, a tensor that should be there
  kCorrupt,            // bytes that contradict their format
  kUnsupported,        // well-formed, but not something tern can do
  kResourceExhausted,  // memory, disk, a full queue
  kCancelled,
  kDevice,    // an accelerator failed
  kInternal,  // a fault of ours
};

/// Name of a code for logs and JSON, e.g. "corrupt".
std::string_view CodeName(Code code);

struct Error {
  Code code = Code::kInternal;
  std::string message;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

/// An error with a formatted message: `return Fail(Code::kCorrupt, "found {}, expected {}", a, b);`
template <class... Args>
tl::unexpected<Error> Fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Error>(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

/// The same error with context in front of its message: "context: message".
inline tl::unexpected<Error> Within(std::string_view context, Error error) {
  return tl::unexpected<Error>(Error{error.code, fmt::format("{}: {}", context, error.message)});
}

#define TERN_CONCAT_INNER(a, b) a##b
#define TERN_CONCAT(a, b) TERN_CONCAT_INNER(a, b)

/// Returns the error of a Status or Result expression, if it is one.
#define TERN_TRY(expr)                                                      \
  do {                                                                      \
    if (auto tern_status = (expr); !tern_status)                            \
      return tl::unexpected<::tern::Error>(std::move(tern_status.error())); \
  } while (false)

/// `TERN_ASSIGN_OR_RETURN(auto file, MappedFile::Open(path));`
#define TERN_ASSIGN_OR_RETURN(decl, expr) \
  TERN_ASSIGN_OR_RETURN_IMPL(TERN_CONCAT(tern_result_, __LINE__), decl, expr)
#define TERN_ASSIGN_OR_RETURN_IMPL(tmp, decl, expr)                       \
  auto tmp = (expr);                                                      \
  if (!tmp) return tl::unexpected<::tern::Error>(std::move(tmp.error())); \
  decl = std::move(*tmp)

}  // namespace tern
