// JSON files of a Hugging Face folder, read strictly: nlohmann's default keeps the last of two
// equal keys and sets no bound to the nesting; files from elsewhere get neither.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tern {

/// Parses a whole document. kCorrupt, with `file` in front, for a syntax error, a key that occurs
/// twice in one object, bytes that are not UTF-8, or more than 32 nested levels.
Result<nlohmann::json> ParseJson(std::string_view text, const std::string& file);

/// Typed access to the fields of one JSON object; every error names the file and the field. A field
/// that is null counts as absent, as Hugging Face files mean it. Borrows the object: it lives no
/// longer than the document.
class JsonFields {
 public:
  /// kCorrupt unless `object` is an object. `prefix` names the path to it, e.g. "rope_scaling.",
  /// may be empty.
  static Result<JsonFields> Of(const nlohmann::json& object, std::string file, std::string prefix);

  /// nullptr when absent or null.
  const nlohmann::json* Find(std::string_view key) const;
  bool Has(std::string_view key) const { return Find(key) != nullptr; }

  // kNotFound when absent, kCorrupt when of another type or outside [low, high].
  Result<int64_t> Int(std::string_view key, int64_t low, int64_t high) const;
  Result<double> Float(std::string_view key, double low, double high) const;
  Result<bool> Bool(std::string_view key) const;
  Result<std::string> String(std::string_view key) const;
  Result<JsonFields> Object(std::string_view key) const;

  // The same with a value for an absent field.
  Result<int64_t> IntOr(std::string_view key, int64_t low, int64_t high, int64_t fallback) const;
  Result<double> FloatOr(std::string_view key, double low, double high, double fallback) const;
  Result<bool> BoolOr(std::string_view key, bool fallback) const;
  Result<std::string> StringOr(std::string_view key, std::string fallback) const;

  /// "config.json: rope_scaling.factor", for messages about a field.
  std::string Where(std::string_view key) const;

 private:
  JsonFields(const nlohmann::json* object, std::string file, std::string prefix)
      : object_(object), file_(std::move(file)), prefix_(std::move(prefix)) {}
  tl::unexpected<Error> Wrong(std::string_view key, std::string_view expected) const;

  const nlohmann::json* object_;
  std::string file_;
  std::string prefix_;
};

}  // namespace tern
