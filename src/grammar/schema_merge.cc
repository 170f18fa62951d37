#include "grammar/schema_merge.h"

#include <algorithm>
#include <exception>
#include <vector>

#include "grammar/limits.h"

namespace tern::grammar {
namespace {

/// Only counts: the text may be hostile, and a document of members takes quadratic time.
class Bounds : public nlohmann::json_sax<Schema> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override {
    members_.push_back(0);
    return Check(members_.size() <= static_cast<size_t>(kMaxNesting), "levels", kMaxNesting);
  }
  bool key(string_t&) override {
    return Check(++members_.back() <= kMaxMembers, "members in an object", kMaxMembers);
  }
  bool end_object() override {
    members_.pop_back();
    return true;
  }
  bool start_array(size_t size) override { return start_object(size); }
  bool end_array() override { return end_object(); }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& e) override {
    error_ = Error{Code::kInvalidArgument, fmt::format("schema: not JSON: {}", e.what())};
    return false;
  }
  const Error& error() const { return error_; }

 private:
  bool Check(bool holds, std::string_view what, size_t limit) {
    if (!holds)
      error_ = Error{Code::kResourceExhausted, fmt::format("schema: more than {} {}", limit, what)};
    return holds;
  }

  std::vector<size_t> members_;
  Error error_;
};

constexpr std::string_view kAnnotations[] = {
    "$schema",          "$id",          "$comment",    "$defs",
    "definitions",      "$anchor",      "$vocabulary", "title",
    "description",      "default",      "examples",    "deprecated",
    "readOnly",         "writeOnly",    "example",     "contentEncoding",
    "contentMediaType", "contentSchema"};

bool IsSmaller(const Schema& a, const Schema& b) { return a.get<double>() < b.get<double>(); }

}  // namespace

Result<Schema> ReadSchema(std::string_view text) {
  if (text.size() > kMaxSourceBytes)
    return Fail(Code::kResourceExhausted, "schema: {} bytes, at most {} are read", text.size(),
                kMaxSourceBytes);
  try {
    Bounds bounds;
    if (!Schema::sax_parse(text.begin(), text.end(), &bounds))
      return tl::unexpected<Error>(bounds.error());
    return Schema::parse(text.begin(), text.end());
  } catch (const std::exception& e) {
    return Fail(Code::kInvalidArgument, "schema: not JSON: {}", e.what());
  }
}

tl::unexpected<Error> SchemaError(Code code, std::string_view pointer, std::string_view what) {
  return Fail(code, "schema: {}: {}", pointer, what);
}

std::string Below(std::string_view pointer, std::string_view name) {
  std::string out(pointer);
  out += '/';
  for (const char c : name) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

Result<const Schema*> FollowRef(const Schema& document, const Schema& ref,
                                std::string_view pointer) {
  if (!ref.is_string())
    return SchemaError(Code::kInvalidArgument, pointer, "found no string, expected a reference");
  const std::string& path = ref.get_ref<const std::string&>();
  if (!path.starts_with('#') || (path.size() > 1 && path[1] != '/'))
    return SchemaError(Code::kUnsupported, pointer,
                       fmt::format("found the reference '{}', supported are # and #/path", path));
  const Schema* at = &document;
  for (size_t begin = 2; begin <= path.size() && path.size() > 1;) {
    const size_t end = std::min(path.find('/', begin), path.size());
    std::string name;
    for (size_t i = begin; i < end; ++i) {
      const bool escaped = path[i] == '~' && i + 1 < end;
      name += !escaped ? path[i] : path[++i] == '1' ? '/' : '~';
    }
    begin = end + 1;
    const Schema* next = nullptr;
    if (at->is_object()) {
      const auto found = at->find(name);
      if (found != at->end()) next = &*found;
    } else if (at->is_array() && !name.empty() && name.size() < 6 &&
               name.find_first_not_of("0123456789") == std::string::npos) {
      const size_t index = std::stoul(name);
      if (index < at->size()) next = &(*at)[index];
    }
    if (next == nullptr)
      return SchemaError(Code::kInvalidArgument, pointer,
                         fmt::format("the reference '{}' leads nowhere", path));
    at = next;
  }
  return at;
}

bool IsAssertion(std::string_view keyword) {
  return std::find(std::begin(kAnnotations), std::end(kAnnotations), keyword) ==
         std::end(kAnnotations);
}

namespace {

Schema AsList(const Schema& value) { return value.is_array() ? value : Schema::array({value}); }

Schema Intersection(const Schema& a, const Schema& b, bool types) {
  Schema out = Schema::array();
  for (const Schema& x : a) {
    for (const Schema& y : b) {
      const bool integer =
          types && ((x == "integer" && y == "number") || (x == "number" && y == "integer"));
      if (x == y || integer) {
        out.push_back(integer ? Schema("integer") : x);
        break;
      }
    }
  }
  return out;
}

/// `old` becomes what both ask for; false when this can't be said.
bool MergeKeyword(std::string_view keyword, Schema& old, const Schema& add) {
  if (old == add) return true;
  if (keyword == "type" || keyword == "enum") {
    old = Intersection(AsList(old), AsList(add), keyword == "type");
    return !old.empty();
  }
  if (keyword == "required" && old.is_array() && add.is_array()) {
    for (const Schema& name : add)
      if (std::find(old.begin(), old.end(), name) == old.end()) old.push_back(name);
    return true;
  }
  if (keyword == "properties" && old.is_object() && add.is_object()) {
    for (const auto& [name, schema] : add.items()) {
      const auto found = old.find(name);
      if (found == old.end()) {
        old[name] = schema;
      } else if (*found != schema) {
        *found = Schema{{"allOf", Schema::array({*found, schema})}};
      }
    }
    return true;
  }
  if ((keyword == "items" || keyword == "additionalProperties") && !old.is_array() &&
      !add.is_array()) {
    if (old == false || add == true) return true;
    if (add == false || old == true) {
      old = add;
    } else {
      old = Schema{{"allOf", Schema::array({old, add})}};
    }
    return true;
  }
  if (!old.is_number() || !add.is_number()) return false;
  if (keyword == "minimum" || keyword == "exclusiveMinimum" || keyword == "minLength" ||
      keyword == "minItems") {
    if (IsSmaller(old, add)) old = add;
    return true;
  }
  if (keyword == "maximum" || keyword == "exclusiveMaximum" || keyword == "maxLength" ||
      keyword == "maxItems") {
    if (IsSmaller(add, old)) old = add;
    return true;
  }
  return false;
}

}  // namespace

Status MergeSchema(Schema& base, const Schema& add, std::string_view pointer) {
  if (add == true) return {};
  if (!add.is_object() || !base.is_object())
    return SchemaError(Code::kUnsupported, pointer, "found no object to merge with");
  for (const auto& [keyword, value] : add.items()) {
    if (!IsAssertion(keyword)) continue;
    const auto found = base.find(keyword);
    if (found == base.end()) {
      base[keyword] = value;
    } else if (!MergeKeyword(keyword, *found, value)) {
      return SchemaError(Code::kUnsupported, Below(pointer, keyword),
                         "contradicts, or can't be merged with, what else must hold here");
    }
  }
  return {};
}

}  // namespace tern::grammar
