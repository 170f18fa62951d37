#include "tokenizer/json_util.h"

#include <exception>
#include <string>

namespace tern {
namespace {

constexpr int kDeepest = 64;

/// True when brackets outside strings nest deeper than `deepest`.
bool NestsDeeper(std::string_view text, int deepest) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > deepest) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
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
