// Fields of a request's JSON, read with the errors that clients expect. Everywhere null is as good
// as absent: the value stays what it was.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "server/api_error.h"

namespace tern {

/// Objects keep the order of their members, which templates and schemas go by.
using Json = nlohmann::ordered_json;

/// An object of at most 1024 members per object and 64 levels (ordered objects are searched member
/// by member), in UTF-8. Errors: status 400.
ApiResult<Json> ParseBody(std::string_view body);

/// UTF-8 without blanks; other bytes are replaced, as model files may spell anything.
std::string Dump(const Json& value);

/// Status 400: "<field>: <problem>".
tl::unexpected<ApiError> Refuse(std::string field, std::string_view problem);
/// "found ..., expected ...".
tl::unexpected<ApiError> WrongType(std::string field, const Json& found, std::string_view expected);

/// nullptr when `object` is no object, has no such member, or has null there.
const Json* Member(const Json& object, const char* name);

/// A member, and its name for messages.
struct Field {
  const Json& object;
  const char* name;
  std::string full_name;  // "stream_options.include_usage"
  Field(const Json& from, const char* member) : object(from), name(member), full_name(member) {}
  Field(const Json& from, const char* member, std::string full)
      : object(from), name(member), full_name(std::move(full)) {}
};

ApiStatus ReadBool(const Field& field, bool& out);
ApiStatus ReadInteger(const Field& field, int64_t low, int64_t high, int64_t& out);
/// Any finite number that a float can hold.
ApiStatus ReadFloat(const Field& field, float& out);
ApiStatus ReadString(const Field& field, std::string& out);

}  // namespace tern
