// Typed key/value pairs as GGUF knows them. A Hugging Face folder is presented with the same keys.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace tern {

/// Scalars keep their width only as far as it matters: integers are int64 or (when too large)
/// uint64.
using MetaValue = std::variant<int64_t, uint64_t, double, bool, std::string, std::vector<int64_t>,
                               std::vector<double>, std::vector<bool>, std::vector<std::string>>;

/// Keys in file order of insertion do not matter; lookups do. Thread rule: immutable after loading.
class Metadata {
 public:
  void Set(std::string key, MetaValue value) {
    values_.insert_or_assign(std::move(key), std::move(value));
  }
  bool Has(std::string_view key) const { return values_.find(key) != values_.end(); }
  const MetaValue* Find(std::string_view key) const;
  const std::map<std::string, MetaValue, std::less<>>& all() const { return values_; }

  // Each getter: kNotFound when absent, kCorrupt when of another kind or out of range; the message
  // names the key, what was found and what was expected. Any integer width is accepted for
  // integers, integers for floats.
  Result<int64_t> Int(std::string_view key) const;
  Result<double> Float(std::string_view key) const;
  Result<bool> Bool(std::string_view key) const;
  Result<std::string> String(std::string_view key) const;
  Result<std::vector<std::string>> Strings(std::string_view key) const;
  Result<std::vector<int64_t>> Ints(std::string_view key) const;
  Result<std::vector<double>> Floats(std::string_view key) const;

  // The same with a default for an absent key; a present key of the wrong kind is still an error.
  Result<int64_t> IntOr(std::string_view key, int64_t fallback) const;
  Result<double> FloatOr(std::string_view key, double fallback) const;
  Result<bool> BoolOr(std::string_view key, bool fallback) const;
  Result<std::string> StringOr(std::string_view key, std::string fallback) const;

 private:
  std::map<std::string, MetaValue, std::less<>> values_;
};

}  // namespace tern
