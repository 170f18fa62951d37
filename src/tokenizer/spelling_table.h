// A hash table from spellings to numbers, made for loading vocabularies fast.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace tern {

/// Open addressing over views: the spellings must outlive the table and have data (an empty
/// std::string has, a default std::string_view has not).
/// Thread rule: immutable once filled, safe to share.
class SpellingTable {
 public:
  /// Room for `spellings` entries without rehashing.
  void Reserve(size_t spellings);

  /// Of several entries for one spelling, Add keeps the first and Set the last.
  void Add(std::string_view spelling, int32_t value);
  void Set(std::string_view spelling, int32_t value);

  std::optional<int32_t> Find(std::string_view spelling) const;

  size_t size() const { return size_; }

  /// Calls use(spelling, value) for each entry, in no useful order.
  template <class Use>
  void ForEach(Use use) const {
    for (const Slot& slot : slots_)
      if (slot.used()) use(slot.spelling, slot.value);
  }

 private:
  struct Slot {
    std::string_view spelling;  // of no data in a free slot
    uint32_t hash = 0;
    int32_t value = 0;
    bool used() const { return spelling.data() != nullptr; }
  };

  size_t Place(std::string_view spelling, uint32_t hash) const;
  Slot& Insert(std::string_view spelling, int32_t value);
  void Rehash(size_t capacity);

  std::vector<Slot> slots_;  // power-of-two size
  size_t size_ = 0;
};

}  // namespace tern
