// Byte-pair merging, shared by both tokenizer models. Symbols are numbers (any but INT32_MIN); what
// they spell is the caller's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tern {

/// Which pairs of symbols merge, into what, and in which order.
/// Thread rule: immutable once filled, safe to share.
class MergeTable {
 public:
  /// Room for `pairs` entries without rehashing.
  void Reserve(size_t pairs);

  /// left + right becomes result; lower ranks merge first. Of several entries for one pair the
  /// first is kept.
  void Add(int32_t left, int32_t right, uint32_t rank, int32_t result);

  /// Merges the adjacent pair of lowest rank (the leftmost of equals) until no adjacent pair is in
  /// the table. O(n log n) time, no recursion.
  void Apply(std::vector<int32_t>& symbols) const;

  size_t size() const { return size_; }

 private:
  struct Entry {
    uint64_t pair = kEmpty;
    uint32_t rank = 0;
    int32_t result = 0;
  };
  static constexpr uint64_t kEmpty = 0x8000000080000000;  // no pair: INT32_MIN is not a symbol

  static uint64_t Pair(int32_t left, int32_t right) {
    return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) |
           static_cast<uint32_t>(right);
  }
  size_t Slot(uint64_t pair) const;
  const Entry* Find(int32_t left, int32_t right) const;
  void Rehash(size_t capacity);

  std::vector<Entry> entries_;  // open addressing, power-of-two size
  size_t size_ = 0;
};

}  // namespace tern
