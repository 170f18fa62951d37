// Values as sequences.
#include "jinja/interpreter.h"

namespace tern::jinja {

Result<std::vector<Value>> Items(const Value& value) {
  if (const List* list = AsList(value)) return list->items;
  std::vector<Value> items;
  if (const Dict* dict = AsDict(value)) {
    for (const auto& [key, item] : dict->entries) items.push_back(MakeText(key));
    return items;
  }
  if (const Text* text = AsText(value)) {
    const std::vector<size_t> bounds = CharacterBounds(text->bytes());
    for (size_t i = 0; i + 1 < bounds.size(); ++i)
      items.push_back(MakeText(text->Cut(bounds[i], bounds[i + 1])));
    return items;
  }
  if (IsUndefined(value)) return items;
  return Fail(Code::kCorrupt, "{} can't be iterated", TypeName(value));
}

Result<int64_t> Length(const Value& value) {
  if (const Text* text = AsText(value)) return std::ssize(CharacterBounds(text->bytes())) - 1;
  if (const List* list = AsList(value)) return std::ssize(list->items);
  if (const Dict* dict = AsDict(value)) return std::ssize(dict->entries);
  if (IsUndefined(value)) return 0;
  return Fail(Code::kCorrupt, "the length of {}", TypeName(value));
}

int64_t Extent(const Value& value) {
  if (const Text* text = AsText(value)) return static_cast<int64_t>(text->size());
  if (const List* list = AsList(value)) return std::ssize(list->items) * 4;
  if (const Dict* dict = AsDict(value)) return std::ssize(dict->entries) * 4;
  return 0;
}

Result<bool> Contains(const Value& container, const Value& item) {
  if (const Text* text = AsText(container)) {
    const Text* part = AsText(item);
    if (part == nullptr) return Fail(Code::kCorrupt, "{} in a string", TypeName(item));
    return text->bytes().find(part->bytes()) != std::string::npos;
  }
  if (const Dict* dict = AsDict(container)) {
    const Text* key = AsText(item);
    return key != nullptr && dict->Find(key->bytes()) != nullptr;
  }
  if (const List* list = AsList(container)) {
    for (const Value& other : list->items)
      if (Equal(other, item)) return true;
    return false;
  }
  if (IsUndefined(container)) return false;
  return Fail(Code::kCorrupt, "in {}", TypeName(container));
}

}  // namespace tern::jinja
