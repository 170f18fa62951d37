#include "formats/hf_json.h"

#include <fmt/format.h>

#include <cmath>
#include <set>
#include <stdexcept>
#include <vector>

#include "formats/printable.h"

namespace tern {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 32;

/// Refuses what the parser by itself lets pass.
class Guard {
 public:
  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    if (depth > kMaxDepth)
      throw std::runtime_error(fmt::format("more than {} nested levels", kMaxDepth));
    switch (event) {
      case json::parse_event_t::object_start:
        keys_.emplace_back();
        break;
      case json::parse_event_t::object_end:
        keys_.pop_back();
        break;
      case json::parse_event_t::key:
        Unique(parsed.get_ref<const std::string&>());
        break;
      default:
        break;
    }
    return true;
  }

 private:
  void Unique(const std::string& key) {
    if (!keys_.back().insert(key).second)
      throw std::runtime_error(fmt::format("key '{}' occurs twice in one object", Printable(key)));
  }

  std::vector<std::set<std::string>> keys_;
};

/// "[json.exception.parse_error.101] parse error at ..." without the part in brackets, and not
/// longer than a line: the parser quotes what it read last, which may be long.
std::string_view Plain(std::string_view what) {
  constexpr size_t kLongest = 240;
  const size_t end =
      what.starts_with("[json.exception.") ? what.find("] ") : std::string_view::npos;
  return what.substr(end == std::string_view::npos ? 0 : end + 2).substr(0, kLongest);
}

/// A value as found, short enough for a message.
std::string Shown(const json& value) {
  if (value.is_object() || value.is_array())
    return fmt::format("{} of {}", value.is_object() ? "an object" : "an array", value.size());
  constexpr size_t kLongest = 80;
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

template <class T, class Get>
Result<T> Or(bool has, T fallback, Get get) {
  return has ? get() : Result<T>(std::move(fallback));
}

}  // namespace

Result<json> ParseJson(std::string_view text, const std::string& file) {
  try {
    Guard guard;
    return json::parse(text.begin(), text.end(),
                       [&guard](int depth, json::parse_event_t event, json& parsed) {
                         return guard(depth, event, parsed);
                       });
  } catch (const std::exception& e) {
    return Fail(Code::kCorrupt, "{}: {}", file, Plain(e.what()));
  }
}

Result<JsonFields> JsonFields::Of(const json& object, std::string file, std::string prefix) {
  if (!object.is_object()) {
    const std::string name = prefix.empty() ? "the document" : prefix.substr(0, prefix.size() - 1);
    return Fail(Code::kCorrupt, "{}: {}: found {}, expected an object", file, name, Shown(object));
  }
  return JsonFields(&object, std::move(file), std::move(prefix));
}

const json* JsonFields::Find(std::string_view key) const {
  const auto it = object_->find(key);
  return it == object_->end() || it->is_null() ? nullptr : &*it;
}

std::string JsonFields::Where(std::string_view key) const {
  return fmt::format("{}: {}{}", file_, prefix_, Printable(key));
}

tl::unexpected<Error> JsonFields::Wrong(std::string_view key, std::string_view expected) const {
  const json* value = Find(key);
  if (!value) return Fail(Code::kNotFound, "{}: missing, expected {}", Where(key), expected);
  return Fail(Code::kCorrupt, "{}: found {}, expected {}", Where(key), Shown(*value), expected);
}

Result<int64_t> JsonFields::Int(std::string_view key, int64_t low, int64_t high) const {
  const json* value = Find(key);
  // A number beyond int64 is unsigned in nlohmann's terms, and its value as int64 would be
  // negative.
  const bool fits = value && value->is_number_integer() &&
                    (!value->is_number_unsigned() || value->get<uint64_t>() <= INT64_MAX);
  if (!fits || value->get<int64_t>() < low || value->get<int64_t>() > high)
    return Wrong(key, fmt::format("an integer from {} to {}", low, high));
  return value->get<int64_t>();
}

Result<double> JsonFields::Float(std::string_view key, double low, double high) const {
  const json* value = Find(key);
  const double number = value && value->is_number() ? value->get<double>() : std::nan("");
  if (!(number >= low && number <= high))
    return Wrong(key, fmt::format("a number from {} to {}", low, high));
  return number;
}

Result<bool> JsonFields::Bool(std::string_view key) const {
  const json* value = Find(key);
  if (!value || !value->is_boolean()) return Wrong(key, "true or false");
  return value->get<bool>();
}

Result<std::string> JsonFields::String(std::string_view key) const {
  const json* value = Find(key);
  if (!value || !value->is_string()) return Wrong(key, "a string");
  return value->get<std::string>();
}

Result<JsonFields> JsonFields::Object(std::string_view key) const {
  const json* value = Find(key);
  if (!value || !value->is_object()) return Wrong(key, "an object");
  return JsonFields(value, file_, fmt::format("{}{}.", prefix_, key));
}

Result<int64_t> JsonFields::IntOr(std::string_view key, int64_t low, int64_t high,
                                  int64_t fallback) const {
  return Or(Has(key), fallback, [&] { return Int(key, low, high); });
}

Result<double> JsonFields::FloatOr(std::string_view key, double low, double high,
                                   double fallback) const {
  return Or(Has(key), fallback, [&] { return Float(key, low, high); });
}

Result<bool> JsonFields::BoolOr(std::string_view key, bool fallback) const {
  return Or(Has(key), fallback, [&] { return Bool(key); });
}

Result<std::string> JsonFields::StringOr(std::string_view key, std::string fallback) const {
  return Or(Has(key), std::move(fallback), [&] { return String(key); });
}

}  // namespace tern
