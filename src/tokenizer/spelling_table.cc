#include "tokenizer/spelling_table.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace tern {
namespace {

uint32_t Hash(std::string_view spelling) {
  const uint64_t hash = std::hash<std::string_view>()(spelling);
  return static_cast<uint32_t>(hash ^ (hash >> 32));
}

}  // namespace

void SpellingTable::Reserve(size_t spellings) {
  const size_t capacity = std::bit_ceil(std::max<size_t>(spellings + spellings / 2, 16));
  if (capacity > slots_.size()) Rehash(capacity);
}

size_t SpellingTable::Place(std::string_view spelling, uint32_t hash) const {
  const size_t mask = slots_.size() - 1;
  size_t at = hash & mask;
  while (slots_[at].used() && (slots_[at].hash != hash || slots_[at].spelling != spelling))
    at = (at + 1) & mask;
  return at;
}

void SpellingTable::Rehash(size_t capacity) {
  std::vector<Slot> old(capacity);
  old.swap(slots_);
  for (const Slot& slot : old)
    if (slot.used()) slots_[Place(slot.spelling, slot.hash)] = slot;
}

SpellingTable::Slot& SpellingTable::Insert(std::string_view spelling, int32_t value) {
  if ((size_ + 1) * 4 > slots_.size() * 3) Rehash(std::max<size_t>(16, slots_.size() * 2));
  const uint32_t hash = Hash(spelling);
  Slot& slot = slots_[Place(spelling, hash)];
  if (!slot.used()) {
    slot = {spelling, hash, value};
    ++size_;
  }
  return slot;
}

void SpellingTable::Add(std::string_view spelling, int32_t value) { Insert(spelling, value); }

void SpellingTable::Set(std::string_view spelling, int32_t value) {
  Insert(spelling, value).value = value;
}

std::optional<int32_t> SpellingTable::Find(std::string_view spelling) const {
  if (slots_.empty()) return std::nullopt;
  const Slot& slot = slots_[Place(spelling, Hash(spelling))];
  if (!slot.used()) return std::nullopt;
  return slot.value;
}

}  // namespace tern
