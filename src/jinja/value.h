// Values of template expressions, after Python's: what they are, how they compare and print.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "jinja/text.h"

namespace tern::jinja {

struct List;
struct Dict;
struct Namespace;
struct Loop;
struct Callable;

/// A name or a member that does not exist; prints as nothing, counts as false.
struct Undefined {
  std::string name;  // for messages
};
struct None {};

/// Immutable, cheap to copy. Namespaces alone can change; the interpreter owns them, since two of
/// them may hold each other.
using Value = std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const Text>,
                           std::shared_ptr<const List>, std::shared_ptr<const Dict>, Namespace*,
                           std::shared_ptr<const Loop>, std::shared_ptr<const Callable>>;

/// Lists and dicts nest no deeper than this, so that no recursion over values can go wrong.
inline constexpr int kMaxValueDepth = 100;

struct List {
  std::vector<Value> items;
  bool tuple = false;
  int depth = 1;
};

/// Keys are strings, in the order they came.
struct Dict {
  std::vector<std::pair<Text, Value>> entries;
  std::unordered_map<std::string, size_t> index;
  int depth = 1;

  const Value* Find(const std::string& key) const;
  /// Adds, or replaces what the key had.
  void Set(const Text& key, Value value);
};

struct Namespace {
  std::map<std::string, Value> members;
};

/// The variable `loop` of one for statement.
struct Loop {
  std::vector<Value> items;
  size_t index = 0;
  int depth = 1;
};

Value MakeText(Text text);
Value TemplateText(std::string_view text);
/// Errors: kResourceExhausted where values would nest deeper than kMaxValueDepth.
Result<Value> MakeList(std::vector<Value> items, bool tuple = false);
Result<Value> MakeDict(Dict dict);
int Depth(const Value& value);

/// All strings get `origin`. Errors: kResourceExhausted for nesting deeper than kMaxValueDepth.
Result<Value> FromJson(const nlohmann::ordered_json& json, Origin origin);

const Text* AsText(const Value& value);
const List* AsList(const Value& value);
const Dict* AsDict(const Value& value);
bool IsUndefined(const Value& value);
bool IsNone(const Value& value);
/// Integers and booleans, as Python has them; false for others.
bool AsInteger(const Value& value, int64_t* out);
/// The same with floats.
bool AsNumber(const Value& value, double* out);

bool Truth(const Value& value);
bool Equal(const Value& a, const Value& b);
/// a < b for numbers, strings and lists. Errors: kCorrupt for others.
Result<bool> Less(const Value& a, const Value& b);

/// "string", "list", ... for messages.
std::string_view TypeName(const Value& value);

/// What Python's str gives.
Text Str(const Value& value);
/// What Python's repr gives.
Text Repr(const Value& value);
/// Python's repr of a float: the shortest digits that give the number back.
std::string FloatText(double value);

struct JsonStyle {
  int64_t indent = -1;  // negative: one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};

/// What Python's json.dumps(ensure_ascii=False) gives. Errors: kCorrupt for what JSON has not.
Result<Text> ToJson(const Value& value, const JsonStyle& style);

}  // namespace tern::jinja
