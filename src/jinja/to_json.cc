#include <algorithm>
#include <cmath>

#include "jinja/value.h"

namespace tern::jinja {
namespace {

/// What Python's json.dumps writes.
class JsonWriter {
 public:
  explicit JsonWriter(const JsonStyle& style) : style_(style) {}

  Status Write(const Value& value, int64_t level) {
    if (const Text* text = AsText(value)) return String(*text);
    if (const List* list = AsList(value)) return Array(*list, level);
    if (const Dict* dict = AsDict(value)) return Object(*dict, level);
    if (IsNone(value)) return Mark("null");
    if (const bool* truth = std::get_if<bool>(&value)) return Mark(*truth ? "true" : "false");
    if (const auto* integer = std::get_if<int64_t>(&value)) return Mark(std::to_string(*integer));
    if (const double* number = std::get_if<double>(&value)) return Float(*number);
    return Fail(Code::kCorrupt, "tojson of {}", TypeName(value));
  }

  Text Take() { return std::move(out_); }

 private:
  Status Mark(std::string_view text) {
    out_.Append(text, Origin::kTemplate);
    return {};
  }

  Status Float(double number) {
    if (std::isnan(number)) return Mark("NaN");
    if (std::isinf(number)) return Mark(number > 0 ? "Infinity" : "-Infinity");
    return Mark(FloatText(number));
  }

  Status String(const Text& text) {
    (void)Mark("\"");
    const std::string& bytes = text.bytes();
    for (size_t i = 0; i < bytes.size(); ++i) {
      constexpr std::string_view kPlain = "\"\\\b\f\n\r\t";
      constexpr std::string_view kEscaped = "\"\\bfnrt";
      const char c = bytes[i];
      if (const size_t at = kPlain.find(c); at != std::string_view::npos) {
        out_.Append(std::string({'\\', kEscaped[at]}), text.origin(i));
      } else if (static_cast<unsigned char>(c) < 0x20) {
        out_.Append(fmt::format("\\u{:04x}", c), text.origin(i));
      } else {
        out_.Append({&c, 1}, text.origin(i));
      }
    }
    return Mark("\"");
  }

  Status Array(const List& list, int64_t level) {
    if (list.items.empty()) return Mark("[]");
    (void)Mark("[");
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) (void)Mark(Separator());
      Break(level + 1);
      TERN_TRY(Write(list.items[i], level + 1));
    }
    Break(level);
    return Mark("]");
  }

  Status Object(const Dict& dict, int64_t level) {
    if (dict.entries.empty()) return Mark("{}");
    std::vector<const std::pair<Text, Value>*> entries;
    for (const auto& entry : dict.entries) entries.push_back(&entry);
    if (style_.sort_keys)
      std::sort(entries.begin(), entries.end(),
                [](const auto* a, const auto* b) { return a->first.bytes() < b->first.bytes(); });
    (void)Mark("{");
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) (void)Mark(Separator());
      Break(level + 1);
      (void)String(entries[i]->first);
      (void)Mark(style_.key_separator);
      TERN_TRY(Write(entries[i]->second, level + 1));
    }
    Break(level);
    return Mark("}");
  }

  std::string_view Separator() const { return style_.item_separator; }

  void Break(int64_t level) {
    if (style_.indent < 0) return;
    (void)Mark("\n");
    (void)Mark(std::string(static_cast<size_t>(style_.indent * level), ' '));
  }

  const JsonStyle& style_;
  Text out_;
};

}  // namespace

Result<Text> ToJson(const Value& value, const JsonStyle& style) {
  JsonWriter writer(style);
  TERN_TRY(writer.Write(value, 0));
  return writer.Take();
}

}  // namespace tern::jinja
