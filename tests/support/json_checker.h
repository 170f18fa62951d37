// Does a document satisfy a JSON schema? Written against the standard for the keywords that tern
// holds generated text to; knows nothing of how it does that.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "support/regex.h"

namespace tern::test {

class JsonChecker {
 public:
  explicit JsonChecker(nlohmann::json schema) : root_(std::move(schema)) {}
  bool Valid(const nlohmann::json& value) const { return Valid(root_, value); }

 private:
  using Json = nlohmann::json;

  static size_t Characters(const std::string& s) {
    size_t n = 0;
    for (const char c : s) n += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    return n;
  }

  static bool IsType(const Json& value, const std::string& type) {
    if (type == "integer")
      return value.is_number() && std::floor(value.get<double>()) == value.get<double>();
    if (type == "number") return value.is_number();
    return type == value.type_name();
  }

  bool Valid(const Json& schema, const Json& value) const {
    if (schema.is_boolean()) return schema.get<bool>();
    if (schema.contains("$ref")) {
      const auto path = schema["$ref"].get<std::string>().substr(1);
      if (!Valid(root_[Json::json_pointer(path)], value)) return false;
    }
    if (schema.contains("const") && value != schema["const"]) return false;
    if (schema.contains("enum")) {
      bool found = false;
      for (const Json& one : schema["enum"]) found |= one == value;
      if (!found) return false;
    }
    if (schema.contains("type")) {
      bool fits = false;
      for (const Json& type :
           schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]}))
        fits |= IsType(value, type.get<std::string>());
      if (!fits) return false;
    }
    for (const char* any : {"anyOf", "oneOf"}) {
      if (!schema.contains(any)) continue;
      bool found = false;
      for (const Json& one : schema[any]) found |= Valid(one, value);
      if (!found) return false;
    }
    if (schema.contains("allOf"))
      for (const Json& one : schema["allOf"])
        if (!Valid(one, value)) return false;
    if (value.is_object()) return ValidObject(schema, value);
    if (value.is_array()) return ValidArray(schema, value);
    if (value.is_number()) {
      const auto number = value.get<double>();
      return number >= schema.value("minimum", -1e300) &&
             number <= schema.value("maximum", 1e300) &&
             number > schema.value("exclusiveMinimum", -1e300) &&
             number < schema.value("exclusiveMaximum", 1e300);
    }
    if (!value.is_string()) return true;
    const auto text = value.get<std::string>();
    if (Characters(text) < schema.value("minLength", size_t{0}) ||
        Characters(text) > schema.value("maxLength", size_t{1} << 40))
      return false;
    return !schema.contains("pattern") ||
           std::regex_search(text, std::regex(schema["pattern"].get<std::string>()));
  }

  bool ValidObject(const Json& schema, const Json& value) const {
    const Json properties = schema.value("properties", Json::object());
    for (const Json& name : schema.value("required", Json::array()))
      if (!value.contains(name.get<std::string>())) return false;
    for (const auto& [name, member] : value.items()) {
      if (properties.contains(name)) {
        if (!Valid(properties[name], member)) return false;
      } else if (schema.contains("additionalProperties") &&
                 !Valid(schema["additionalProperties"], member)) {
        return false;
      }
    }
    return true;
  }

  bool ValidArray(const Json& schema, const Json& value) const {
    if (value.size() < schema.value("minItems", size_t{0}) ||
        value.size() > schema.value("maxItems", size_t{1} << 40))
      return false;
    const Json prefix = schema.value("prefixItems", Json::array());
    for (size_t i = 0; i < value.size(); ++i) {
      if (i < prefix.size()) {
        if (!Valid(prefix[i], value[i])) return false;
      } else if (schema.contains("items") && !Valid(schema["items"], value[i])) {
        return false;
      }
    }
    return true;
  }

  Json root_;
};

}  // namespace tern::test
