#include "tokenizer/json_util.h"

#include <exception>
#include <string>

#include "base/json_marks.h"

namespace tern {
namespace {

constexpr int kDeepest = 64;

bool NestsDeeper(std::string_view text, int deepest) {
  int depth = 0;
  ForEachJsonMark(text, [&](char c, size_t) {
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    return depth <= deepest;
  });
  return depth > deepest;
}

}  // namespace

Result<nlohmann::json> ParseJson(std::string_view text) {
  if (NestsDeeper(text, kDeepest))
    return Fail(Code::kUnsupported, "JSON nested deeper than {} levels", kDeepest);
  try {
    return nlohmann::json::parse(text.begin(), text.end());
  } catch (const std::exception& e) {
    return Fail(Code::kCorrupt, "not JSON: {}", e.what());
  }
}

const nlohmann::json* Member(const nlohmann::json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

const std::string* StringMember(const nlohmann::json& object, const char* name) {
  const nlohmann::json* member = Member(object, name);
  return member == nullptr ? nullptr : member->get_ptr<const std::string*>();
}

bool BoolMember(const nlohmann::json& object, const char* name, bool fallback) {
  const nlohmann::json* member = Member(object, name);
  return member != nullptr && member->is_boolean() ? member->get<bool>() : fallback;
}

}  // namespace tern
