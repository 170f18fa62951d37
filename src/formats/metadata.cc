#include "formats/metadata.h"

#include <limits>
#include <type_traits>
#include <utility>

#include "formats/printable.h"

namespace tern {
namespace {

constexpr size_t kShownChars = 40;

// What a value is, for messages: "the integer 7", "an array of 3 strings".
std::string Describe(const MetaValue& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string>)
          return fmt::format("the string '{}'", Printable(v, kShownChars));
        else if constexpr (std::is_same_v<T, bool>)
          return v ? "true" : "false";
        else if constexpr (std::is_floating_point_v<T>)
          return fmt::format("the number {}", v);
        else if constexpr (std::is_arithmetic_v<T>)
          return fmt::format("the integer {}", v);
        else if constexpr (std::is_same_v<T, std::vector<std::string>>)
          return fmt::format("an array of {} strings", v.size());
        else if constexpr (std::is_same_v<T, std::vector<bool>>)
          return fmt::format("an array of {} booleans", v.size());
        else if constexpr (std::is_same_v<T, std::vector<double>>)
          return fmt::format("an array of {} numbers", v.size());
        else
          return fmt::format("an array of {} integers", v.size());
      },
      value);
}

tl::unexpected<Error> Missing(std::string_view key) {
  return Fail(Code::kNotFound, "metadata key '{}' is missing", key);
}

tl::unexpected<Error> WrongKind(std::string_view key, const MetaValue& found,
                                std::string_view expected) {
  return Fail(Code::kCorrupt, "metadata key '{}' holds {}, expected {}", key, Describe(found),
              expected);
}

Result<int64_t> ToInt(std::string_view key, const MetaValue& value) {
  if (const auto* i = std::get_if<int64_t>(&value)) return *i;
  if (std::holds_alternative<uint64_t>(value))
    return WrongKind(key, value, fmt::format("at most {}", std::numeric_limits<int64_t>::max()));
  return WrongKind(key, value, "an integer");
}

Result<double> ToFloat(std::string_view key, const MetaValue& value) {
  if (const auto* d = std::get_if<double>(&value)) return *d;
  if (const auto* i = std::get_if<int64_t>(&value)) return static_cast<double>(*i);
  if (const auto* u = std::get_if<uint64_t>(&value)) return static_cast<double>(*u);
  return WrongKind(key, value, "a number");
}

template <class T>
Result<T> Exactly(std::string_view key, const MetaValue& value, std::string_view expected) {
  if (const auto* v = std::get_if<T>(&value)) return *v;
  return WrongKind(key, value, expected);
}

}  // namespace

const MetaValue* Metadata::Find(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

Result<int64_t> Metadata::Int(std::string_view key) const {
  const MetaValue* value = Find(key);
  if (!value) return Missing(key);
  return ToInt(key, *value);
}

Result<double> Metadata::Float(std::string_view key) const {
  const MetaValue* value = Find(key);
  if (!value) return Missing(key);
  return ToFloat(key, *value);
}

Result<bool> Metadata::Bool(std::string_view key) const {
  const MetaValue* value = Find(key);
  if (!value) return Missing(key);
  return Exactly<bool>(key, *value, "true or false");
}

Result<std::string> Metadata::String(std::string_view key) const {
  const MetaValue* value = Find(key);
  if (!value) return Missing(key);
  return Exactly<std::string>(key, *value, "a string");
}

Result<std::vector<std::string>> Metadata::Strings(std::string_view key) const {
  const MetaValue* value = Find(key);
  if (!value) return Missing(key);
  return Exactly<std::vector<std::string>>(key, *value, "an array of strings");
}

Result<std::vector<int64_t>> Metadata::Ints(std::string_view key) const {
  const MetaValue* value = Find(key);
  if (!value) return Missing(key);
  return Exactly<std::vector<int64_t>>(key, *value, "an array of integers");
}

Result<std::vector<double>> Metadata::Floats(std::string_view key) const {
  const MetaValue* value = Find(key);
  if (!value) return Missing(key);
  if (const auto* ints = std::get_if<std::vector<int64_t>>(value))
    return std::vector<double>(ints->begin(), ints->end());
  return Exactly<std::vector<double>>(key, *value, "an array of numbers");
}

Result<int64_t> Metadata::IntOr(std::string_view key, int64_t fallback) const {
  if (!Has(key)) return fallback;
  return Int(key);
}

Result<double> Metadata::FloatOr(std::string_view key, double fallback) const {
  if (!Has(key)) return fallback;
  return Float(key);
}

Result<bool> Metadata::BoolOr(std::string_view key, bool fallback) const {
  if (!Has(key)) return fallback;
  return Bool(key);
}

Result<std::string> Metadata::StringOr(std::string_view key, std::string fallback) const {
  if (!Has(key)) return fallback;
  return String(key);
}

}  // namespace tern
