#include "server/json_fields.h"

#include <fmt/format.h>

#include <array>
#include <limits>

#include "base/json_marks.h"

namespace tern {
namespace {

constexpr int kDeepest = 64;
constexpr int kMostMembers = 1024;

// What is wrong with a text, whether it is JSON or not; nullptr: nothing.
const char* CheckOutline(std::string_view text) {
  std::array<int, kDeepest + 1> members = {};  // so far, by level
  int depth = 0;
  const char* problem = nullptr;
  ForEachJsonMark(text, [&](char c, size_t) {
    if (c == '{' || c == '[') {
      if (++depth > kDeepest)
        problem = "found JSON nested deeper than 64 levels";
      else
        members[static_cast<size_t>(depth)] = 0;
    } else if (c != ':') {
      --depth;
    } else if (++members[static_cast<size_t>(depth)] > kMostMembers) {
      problem = "found an object of more than 1024 members";
    }
    return problem == nullptr && depth >= 0;  // below 0: no JSON, the parser says where
  });
  return problem;
}

std::string Describe(const Json& value) {
  return value.is_number() ? "the number " + value.dump() : std::string(value.type_name());
}

}  // namespace

ApiResult<Json> ParseBody(std::string_view body) {
  const auto refuse = [](std::string_view problem) {
    return tl::unexpected<ApiError>(ApiError{400, fmt::format("the body: {}", problem)});
  };
  if (const char* problem = CheckOutline(body)) return refuse(problem);
  Json json;
  try {
    json = Json::parse(body.begin(), body.end());
  } catch (const std::exception& error) {
    return refuse(fmt::format("not JSON: {}", error.what()));
  }
  if (!json.is_object())
    return refuse(fmt::format("found {}, expected an object", json.type_name()));
  return json;
}

std::string Dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

tl::unexpected<ApiError> Refuse(std::string field, std::string_view problem) {
  std::string message = fmt::format("{}: {}", field, problem);
  return tl::unexpected<ApiError>(ApiError{400, std::move(message), std::move(field)});
}

tl::unexpected<ApiError> WrongType(std::string field, const Json& found,
                                   std::string_view expected) {
  return Refuse(std::move(field), fmt::format("found {}, expected {}", Describe(found), expected));
}

const Json* Member(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

ApiStatus ReadBool(const Field& field, bool& out) {
  const Json* value = Member(field.object, field.name);
  if (value == nullptr) return {};
  if (!value->is_boolean()) return WrongType(field.full_name, *value, "true or false");
  out = value->get<bool>();
  return {};
}

ApiStatus ReadInteger(const Field& field, int64_t low, int64_t high, int64_t& out) {
  const Json* value = Member(field.object, field.name);
  if (value == nullptr) return {};
  if (!value->is_number_integer()) return WrongType(field.full_name, *value, "an integer");
  const bool huge = value->is_number_unsigned() &&
                    value->get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()};
  if (huge || value->get<int64_t>() < low || value->get<int64_t>() > high)
    return Refuse(field.full_name,
                  fmt::format("found {}, expected {} to {}", value->dump(), low, high));
  out = value->get<int64_t>();
  return {};
}

ApiStatus ReadFloat(const Field& field, float& out) {
  const Json* value = Member(field.object, field.name);
  if (value == nullptr) return {};
  if (!value->is_number()) return WrongType(field.full_name, *value, "a number");
  const double number = value->get<double>();
  constexpr double kLargest = std::numeric_limits<float>::max();
  if (!(number >= -kLargest && number <= kLargest))
    return Refuse(
        field.full_name,
        fmt::format("found {}, expected a number in the range of a float", value->dump()));
  out = static_cast<float>(number);
  return {};
}

ApiStatus ReadString(const Field& field, std::string& out) {
  const Json* value = Member(field.object, field.name);
  if (value == nullptr) return {};
  if (!value->is_string()) return WrongType(field.full_name, *value, "a string");
  out = value->get<std::string>();
  return {};
}

}  // namespace tern
