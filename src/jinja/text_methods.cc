// The methods of strings.
#include <algorithm>
#include <iterator>

#include "jinja/interpreter.h"

namespace tern::jinja {
namespace {

using Function = Result<Value> (*)(const Text& self, const Arguments& arguments);

struct Row {
  std::string_view name;
  size_t arguments;  // at most
  Function function;
};

tl::unexpected<Error> WrongArgument(const Value& value) {
  return Fail(Code::kCorrupt, "{} as an argument", TypeName(value));
}

Value TextList(std::vector<Text> parts) {
  std::vector<Value> items;
  for (Text& part : parts) items.push_back(MakeText(std::move(part)));
  return *MakeList(std::move(items));
}

/// The argument as text; nullptr when it isn't given or none.
Result<const Text*> TextArgument(const Arguments& arguments, size_t position,
                                 std::string_view name = {}) {
  const Value* value = arguments.Find(position, name);
  if (value == nullptr || IsNone(*value)) return nullptr;
  const Text* text = AsText(*value);
  if (text == nullptr) return WrongArgument(*value);
  return text;
}

Result<const Text*> RequiredText(const Arguments& arguments, size_t position) {
  TERN_ASSIGN_OR_RETURN(const Text* text, TextArgument(arguments, position));
  if (text == nullptr) return Fail(Code::kCorrupt, "an argument is missing");
  return text;
}

Result<int64_t> IntegerArgument(const Arguments& arguments, size_t position, std::string_view name,
                                int64_t fallback) {
  const Value* value = arguments.Find(position, name);
  int64_t integer = fallback;
  if (value != nullptr && !AsInteger(*value, &integer)) return WrongArgument(*value);
  return integer;
}

template <bool left, bool right>
Result<Value> StripMethod(const Text& self, const Arguments& arguments) {
  TERN_ASSIGN_OR_RETURN(const Text* set, TextArgument(arguments, 0));
  return MakeText(Strip(self, left, right, set == nullptr ? nullptr : &set->bytes()));
}

template <bool right>
Result<Value> SplitMethod(const Text& self, const Arguments& arguments) {
  TERN_ASSIGN_OR_RETURN(const Text* separator, TextArgument(arguments, 0, "sep"));
  TERN_ASSIGN_OR_RETURN(const int64_t limit, IntegerArgument(arguments, 1, "maxsplit", -1));
  if (separator == nullptr) {
    if (right && limit >= 0)
      return Fail(Code::kUnsupported, "rsplit at blanks with a limit is not supported");
    return TextList(SplitBlanks(self, limit));
  }
  if (separator->empty()) return Fail(Code::kCorrupt, "split at an empty string");
  return TextList(right ? SplitRight(self, separator->bytes(), limit)
                        : Split(self, separator->bytes(), limit));
}

Result<Value> SplitLinesMethod(const Text& self, const Arguments& /*arguments*/) {
  return TextList(SplitLines(self));
}

/// startswith and endswith take a string or a tuple of them.
template <bool begin>
Result<Value> AffixMethod(const Text& self, const Arguments& arguments) {
  if (arguments.values.empty()) return Fail(Code::kCorrupt, "an argument is missing");
  const Value& given = arguments.values[0];
  const List* list = AsList(given);
  const std::vector<Value> affixes = list != nullptr ? list->items : std::vector<Value>{given};
  for (const Value& value : affixes) {
    const Text* affix = AsText(value);
    if (affix == nullptr) return WrongArgument(value);
    if (begin ? self.bytes().starts_with(affix->bytes()) : self.bytes().ends_with(affix->bytes()))
      return true;
  }
  return false;
}

template <Text (*change)(Text)>
Result<Value> CaseMethod(const Text& self, const Arguments& /*arguments*/) {
  return MakeText(change(self));
}

Result<Value> ReplaceMethod(const Text& self, const Arguments& arguments) {
  TERN_ASSIGN_OR_RETURN(const Text* from, RequiredText(arguments, 0));
  TERN_ASSIGN_OR_RETURN(const Text* to, RequiredText(arguments, 1));
  TERN_ASSIGN_OR_RETURN(const int64_t limit, IntegerArgument(arguments, 2, "count", -1));
  // A short text may become long: bounded before it is made.
  const size_t places = self.size() / std::max<size_t>(from->size(), 1) + 1;
  if (to->size() > (size_t{1} << 28) / places)
    return Fail(Code::kResourceExhausted, "the result of replace may be too long");
  return MakeText(Replace(self, from->bytes(), *to, limit));
}

/// Characters before the place, -1 when there is none.
template <bool right>
Result<Value> FindMethod(const Text& self, const Arguments& arguments) {
  TERN_ASSIGN_OR_RETURN(const Text* part, RequiredText(arguments, 0));
  const size_t at = right ? self.bytes().rfind(part->bytes()) : self.bytes().find(part->bytes());
  if (at == std::string::npos) return int64_t{-1};
  return std::ssize(CharacterBounds(std::string_view(self.bytes()).substr(0, at))) - 1;
}

Result<Value> CountMethod(const Text& self, const Arguments& arguments) {
  TERN_ASSIGN_OR_RETURN(const Text* part, RequiredText(arguments, 0));
  if (part->empty()) return std::ssize(CharacterBounds(self.bytes()));
  return std::ssize(Split(self, part->bytes(), -1)) - 1;
}

Result<Value> RemovePrefix(const Text& self, const Arguments& arguments) {
  TERN_ASSIGN_OR_RETURN(const Text* part, RequiredText(arguments, 0));
  const size_t cut = self.bytes().starts_with(part->bytes()) ? part->size() : 0;
  return MakeText(self.Cut(cut, self.size()));
}

Result<Value> RemoveSuffix(const Text& self, const Arguments& arguments) {
  TERN_ASSIGN_OR_RETURN(const Text* part, RequiredText(arguments, 0));
  const size_t cut = self.bytes().ends_with(part->bytes()) ? part->size() : 0;
  return MakeText(self.Cut(0, self.size() - cut));
}

Result<Value> IsDigitMethod(const Text& self, const Arguments& /*arguments*/) {
  return !self.empty() && std::all_of(self.bytes().begin(), self.bytes().end(),
                                      [](char c) { return c >= '0' && c <= '9'; });
}

Result<Value> JoinMethod(const Text& self, const Arguments& arguments) {
  if (arguments.values.empty()) return Fail(Code::kCorrupt, "an argument is missing");
  TERN_ASSIGN_OR_RETURN(const std::vector<Value> items, Items(arguments.values[0]));
  Text out;
  for (size_t i = 0; i < items.size(); ++i) {
    const Text* text = AsText(items[i]);
    if (text == nullptr) return WrongArgument(items[i]);
    if (out.size() + self.size() + text->size() > size_t{1} << 28)
      return Fail(Code::kResourceExhausted, "the result of join is too long");
    if (i > 0) out.Append(self);
    out.Append(*text);
  }
  return MakeText(std::move(out));
}

constexpr Row kMethods[] = {
    {"strip", 1, StripMethod<true, true>},   {"lstrip", 1, StripMethod<true, false>},
    {"rstrip", 1, StripMethod<false, true>}, {"split", 2, SplitMethod<false>},
    {"rsplit", 2, SplitMethod<true>},        {"splitlines", 0, SplitLinesMethod},
    {"startswith", 1, AffixMethod<true>},    {"endswith", 1, AffixMethod<false>},
    {"upper", 0, CaseMethod<Upper>},         {"lower", 0, CaseMethod<Lower>},
    {"title", 0, CaseMethod<Title>},         {"capitalize", 0, CaseMethod<Capitalize>},
    {"replace", 3, ReplaceMethod},           {"find", 1, FindMethod<false>},
    {"rfind", 1, FindMethod<true>},          {"count", 1, CountMethod},
    {"removeprefix", 1, RemovePrefix},       {"removesuffix", 1, RemoveSuffix},
    {"isdigit", 0, IsDigitMethod},           {"join", 1, JoinMethod},
};

const Row* FindMethodRow(std::string_view name) {
  const Row* found = std::find_if(std::begin(kMethods), std::end(kMethods),
                                  [name](const Row& row) { return row.name == name; });
  return found == std::end(kMethods) ? nullptr : found;
}

}  // namespace

bool IsTextMethod(std::string_view name) { return FindMethodRow(name) != nullptr; }

Result<Value> CallTextMethod(const std::string& name, const Text& self,
                             const Arguments& arguments) {
  const Row& row = *FindMethodRow(name);
  TERN_TRY(arguments.Check(row.arguments, {"sep", "maxsplit", "count"}));
  auto result = row.function(self, arguments);
  if (!result) return Within(name, std::move(result.error()));
  return result;
}

}  // namespace tern::jinja
