#include "jinja/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "jinja/callable.h"

namespace tern::jinja {
namespace {

Text Literal(std::string_view text) { return {text, Origin::kTemplate}; }

/// Python's repr of a string; the origin of what stays as it is stays.
Text QuotedText(const Text& text) {
  const std::string& bytes = text.bytes();
  const bool doubled =
      bytes.find('\'') != std::string::npos && bytes.find('"') == std::string::npos;
  const char quote = doubled ? '"' : '\'';
  Text out({&quote, 1}, Origin::kTemplate);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    const auto code = static_cast<unsigned char>(c);
    if (c == '\n') {
      out.Append("\\n", text.origin(i));
    } else if (c == '\r') {
      out.Append("\\r", text.origin(i));
    } else if (c == '\t') {
      out.Append("\\t", text.origin(i));
    } else if (c == '\\' || c == quote) {
      out.Append(std::string({'\\', c}), text.origin(i));
    } else if (code < 0x20 || code == 0x7F) {
      out.Append(fmt::format("\\x{:02x}", code), text.origin(i));
    } else {
      out.Append({&c, 1}, text.origin(i));
    }
  }
  out.Append({&quote, 1}, Origin::kTemplate);
  return out;
}

bool EqualLists(const List& a, const List& b) {
  return a.tuple == b.tuple &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), Equal);
}

bool EqualDicts(const Dict& a, const Dict& b) {
  if (a.entries.size() != b.entries.size()) return false;
  return std::all_of(a.entries.begin(), a.entries.end(), [&b](const auto& entry) {
    const Value* other = b.Find(entry.first.bytes());
    return other != nullptr && Equal(entry.second, *other);
  });
}

}  // namespace

const Value* Dict::Find(const std::string& key) const {
  const auto found = index.find(key);
  return found == index.end() ? nullptr : &entries[found->second].second;
}

void Dict::Set(const Text& key, Value value) {
  depth = std::max(depth, Depth(value) + 1);
  const auto [found, is_new] = index.emplace(key.bytes(), entries.size());
  if (is_new) {
    entries.emplace_back(key, std::move(value));
  } else {
    entries[found->second].second = std::move(value);
  }
}

Value MakeText(Text text) { return std::make_shared<const Text>(std::move(text)); }
Value TemplateText(std::string_view text) { return MakeText(Literal(text)); }

int Depth(const Value& value) {
  if (const List* list = AsList(value)) return list->depth;
  if (const Dict* dict = AsDict(value)) return dict->depth;
  if (const auto* loop = std::get_if<std::shared_ptr<const Loop>>(&value)) return (*loop)->depth;
  if (const auto* callable = std::get_if<std::shared_ptr<const Callable>>(&value))
    return Depth((*callable)->self) + 1;
  return 0;
}

namespace {

Status CheckDepth(int depth) {
  if (depth > kMaxValueDepth)
    return Fail(Code::kResourceExhausted, "values nested deeper than {} levels", kMaxValueDepth);
  return {};
}

Result<Value> FromJsonAt(const nlohmann::ordered_json& json, Origin origin, int level) {
  TERN_TRY(CheckDepth(level));
  switch (json.type()) {
    case nlohmann::ordered_json::value_t::boolean:
      return json.get<bool>();
    case nlohmann::ordered_json::value_t::number_integer:
      return json.get<int64_t>();
    case nlohmann::ordered_json::value_t::number_unsigned: {
      const auto number = json.get<uint64_t>();
      if (number > INT64_MAX) return static_cast<double>(number);
      return static_cast<int64_t>(number);
    }
    case nlohmann::ordered_json::value_t::number_float:
      return json.get<double>();
    case nlohmann::ordered_json::value_t::string:
      return MakeText({json.get_ref<const std::string&>(), origin});
    case nlohmann::ordered_json::value_t::array: {
      std::vector<Value> items;
      for (const auto& item : json) {
        TERN_ASSIGN_OR_RETURN(Value value, FromJsonAt(item, origin, level + 1));
        items.push_back(std::move(value));
      }
      return MakeList(std::move(items));
    }
    case nlohmann::ordered_json::value_t::object: {
      Dict dict;
      for (const auto& [key, item] : json.items()) {
        TERN_ASSIGN_OR_RETURN(Value value, FromJsonAt(item, origin, level + 1));
        dict.Set({key, origin}, std::move(value));
      }
      return MakeDict(std::move(dict));
    }
    default:
      return None{};
  }
}

}  // namespace

Result<Value> MakeList(std::vector<Value> items, bool tuple) {
  List list{std::move(items), tuple, 1};
  for (const Value& item : list.items) list.depth = std::max(list.depth, Depth(item) + 1);
  TERN_TRY(CheckDepth(list.depth));
  return std::make_shared<const List>(std::move(list));
}

Result<Value> MakeDict(Dict dict) {
  TERN_TRY(CheckDepth(dict.depth));
  return std::make_shared<const Dict>(std::move(dict));
}

Result<Value> FromJson(const nlohmann::ordered_json& json, Origin origin) {
  return FromJsonAt(json, origin, 1);
}

const Text* AsText(const Value& value) {
  const auto* text = std::get_if<std::shared_ptr<const Text>>(&value);
  return text == nullptr ? nullptr : text->get();
}
const List* AsList(const Value& value) {
  const auto* list = std::get_if<std::shared_ptr<const List>>(&value);
  return list == nullptr ? nullptr : list->get();
}
const Dict* AsDict(const Value& value) {
  const auto* dict = std::get_if<std::shared_ptr<const Dict>>(&value);
  return dict == nullptr ? nullptr : dict->get();
}
bool IsUndefined(const Value& value) { return std::holds_alternative<Undefined>(value); }
bool IsNone(const Value& value) { return std::holds_alternative<None>(value); }

bool AsInteger(const Value& value, int64_t* out) {
  if (const auto* number = std::get_if<int64_t>(&value)) {
    *out = *number;
  } else if (const bool* truth = std::get_if<bool>(&value)) {
    *out = *truth ? 1 : 0;
  } else {
    return false;
  }
  return true;
}

bool AsNumber(const Value& value, double* out) {
  int64_t integer = 0;
  if (AsInteger(value, &integer)) {
    *out = static_cast<double>(integer);
  } else if (const double* number = std::get_if<double>(&value)) {
    *out = *number;
  } else {
    return false;
  }
  return true;
}

bool Truth(const Value& value) {
  double number = 0;
  if (AsNumber(value, &number)) return number != 0;
  if (const Text* text = AsText(value)) return !text->empty();
  if (const List* list = AsList(value)) return !list->items.empty();
  if (const Dict* dict = AsDict(value)) return !dict->entries.empty();
  return !IsUndefined(value) && !IsNone(value);
}

bool Equal(const Value& a, const Value& b) {
  int64_t i = 0;
  int64_t j = 0;
  if (AsInteger(a, &i) && AsInteger(b, &j)) return i == j;
  double x = 0;
  double y = 0;
  if (AsNumber(a, &x) && AsNumber(b, &y)) return x == y;
  if (a.index() != b.index()) return false;
  if (const Text* text = AsText(a)) return *text == *AsText(b);
  if (const List* list = AsList(a)) return EqualLists(*list, *AsList(b));
  if (const Dict* dict = AsDict(a)) return EqualDicts(*dict, *AsDict(b));
  if (const auto* space = std::get_if<Namespace*>(&a)) return *space == std::get<Namespace*>(b);
  return IsUndefined(a) || IsNone(a);
}

Result<bool> Less(const Value& a, const Value& b) {
  int64_t i = 0;
  int64_t j = 0;
  if (AsInteger(a, &i) && AsInteger(b, &j)) return i < j;
  double x = 0;
  double y = 0;
  if (AsNumber(a, &x) && AsNumber(b, &y)) return x < y;
  const Text* text = AsText(a);
  if (text != nullptr && AsText(b) != nullptr) return text->bytes() < AsText(b)->bytes();
  const List* left = AsList(a);
  const List* right = AsList(b);
  if (left == nullptr || right == nullptr || left->tuple != right->tuple)
    return Fail(Code::kCorrupt, "{} and {} can't be ordered", TypeName(a), TypeName(b));
  const size_t common = std::min(left->items.size(), right->items.size());
  for (size_t k = 0; k < common; ++k)
    if (!Equal(left->items[k], right->items[k])) return Less(left->items[k], right->items[k]);
  return left->items.size() < right->items.size();
}

std::string_view TypeName(const Value& value) {
  constexpr std::array<std::string_view, 11> kNames = {
      "an undefined value", "none",   "a boolean", "an integer",  "a float",
      "a string",           "a list", "a dict",    "a namespace", "a loop",
      "a function"};
  return kNames[value.index()];
}

Text Str(const Value& value) {
  if (const Text* text = AsText(value)) return *text;
  if (IsUndefined(value)) return {};
  return Repr(value);
}

Text Repr(const Value& value) {
  if (const Text* text = AsText(value)) return QuotedText(*text);
  if (const bool* truth = std::get_if<bool>(&value)) return Literal(*truth ? "True" : "False");
  if (const auto* number = std::get_if<int64_t>(&value)) return Literal(std::to_string(*number));
  if (const double* number = std::get_if<double>(&value)) return Literal(FloatText(*number));
  Text out;
  if (const List* list = AsList(value)) {
    out = Literal(list->tuple ? "(" : "[");
    for (size_t i = 0; i < list->items.size(); ++i) {
      if (i > 0) out.Append(", ", Origin::kTemplate);
      out.Append(Repr(list->items[i]));
    }
    const bool comma = list->tuple && list->items.size() == 1;
    out.Append(!list->tuple ? "]" : (comma ? ",)" : ")"), Origin::kTemplate);
    return out;
  }
  if (const Dict* dict = AsDict(value)) {
    out = Literal("{");
    for (size_t i = 0; i < dict->entries.size(); ++i) {
      if (i > 0) out.Append(", ", Origin::kTemplate);
      out.Append(QuotedText(dict->entries[i].first));
      out.Append(": ", Origin::kTemplate);
      out.Append(Repr(dict->entries[i].second));
    }
    out.Append("}", Origin::kTemplate);
    return out;
  }
  if (IsNone(value)) return Literal("None");
  return Literal(IsUndefined(value) ? "Undefined" : fmt::format("<{}>", TypeName(value)));
}

std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::scientific)
                       .ptr;
  const std::string scientific(buffer.data(), end);
  const size_t mark = scientific.find('e');
  const int exponent = std::stoi(scientific.substr(mark + 1));
  if (exponent < -4 || exponent >= 16) return scientific;
  std::array<char, 64> fixed;
  const auto fixed_end =
      std::to_chars(fixed.data(), fixed.data() + fixed.size(), value, std::chars_format::fixed).ptr;
  std::string out(fixed.data(), fixed_end);
  if (out.find('.') == std::string::npos) out += ".0";
  return out;
}

}  // namespace tern::jinja
