// Which block of the cache belongs to whom: pure bookkeeping, no tensors.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "backend/kv_layout.h"
#include "base/result.h"
#include "base/types.h"

namespace tern {

/// Names what lies in the blocks from a sequence's beginning up to one of them: a node of the tree
/// of all prefixes that were ever published. Never used twice, so a prefix that was evicted and
/// published again is another one.
using PrefixId = uint64_t;
inline constexpr PrefixId kNoPrefix = 0;  // the empty prefix

/// Number of a block's place on the host, of a sequence that had to give up its blocks (KvSwap).
using SwapSlot = int32_t;

/// Blocks with reference counts. A full block whose tokens are published stays in the cache when
/// its last owner frees it, until its memory is wanted: the least recently freed goes first. Thread
/// rule: one owner.
class BlockAllocator {
 public:
  explicit BlockAllocator(int64_t blocks);

  int64_t blocks() const { return static_cast<int64_t>(meta_.size()); }
  /// Blocks with an owner.
  int64_t used() const { return used_; }
  /// Blocks without an owner whose content can be found again.
  int64_t cached() const { return static_cast<int64_t>(lru_.size()); }
  /// Blocks that Allocate can still give.
  int64_t available() const { return blocks() - used_; }

  /// A block with one reference and no content; evicts if it has to. Nothing: all have owners.
  std::optional<BlockId> Allocate();
  /// One more owner of a block that has one.
  void Share(BlockId block);
  /// One owner less.
  void Free(BlockId block);
  int32_t References(BlockId block) const { return Meta(block).references; }
  /// Whether MatchPrefix can find it.
  bool IsPublished(BlockId block) const { return Meta(block).entry != nullptr; }

  /// Says what an owned block holds: kBlockPositions tokens that follow the prefix `parent`.
  /// Returns the prefix that ends with them. When another block holds the same already, that one
  /// stays the one that is found.
  PrefixId Publish(PrefixId parent, BlockId block, std::span<const TokenId> tokens);

  struct Match {
    std::vector<BlockId> blocks;     // each with one more reference, the caller's
    std::vector<PrefixId> prefixes;  // that end with them
  };
  /// The longest run of published blocks that hold the beginning of `tokens`, block by block.
  /// Tokens are compared, not their hashes alone.
  Match MatchPrefix(std::span<const TokenId> tokens);

  /// Forgets what unowned blocks hold.
  void DropCached();

  /// For tests: counts, lists and the index agree.
  Status CheckIntegrity() const;

 private:
  struct Key {
    PrefixId parent = kNoPrefix;
    std::array<TokenId, kBlockPositions> tokens = {};
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const;
  };
  struct Entry {
    BlockId block;
    PrefixId prefix;
  };
  using Index = std::unordered_map<Key, Entry, KeyHash>;
  struct BlockMeta {
    int32_t references = 0;
    const Index::value_type* entry = nullptr;  // in the index, when published
    std::list<BlockId>::iterator at;           // in lru_, when published and without owner
  };

  BlockMeta& Meta(BlockId block) { return meta_[static_cast<size_t>(block)]; }
  const BlockMeta& Meta(BlockId block) const { return meta_[static_cast<size_t>(block)]; }
  void Evict(BlockId block);

  std::vector<BlockMeta> meta_;  // (blocks)
  std::vector<BlockId> free_;    // without owner and content
  std::list<BlockId> lru_;       // without owner, published; least recently freed first
  Index index_;
  PrefixId last_prefix_ = kNoPrefix;
  int64_t used_ = 0;
};

}  // namespace tern
