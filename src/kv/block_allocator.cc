#include "kv/block_allocator.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/rng.h"

namespace tern {

size_t BlockAllocator::KeyHash::operator()(const Key& key) const {
  uint64_t hash = key.parent;
  for (const TokenId id : key.tokens) hash = Rng(hash ^ static_cast<uint32_t>(id)).Next();
  return static_cast<size_t>(hash);
}

BlockAllocator::BlockAllocator(int64_t blocks)
    : meta_(static_cast<size_t>(blocks)), free_(static_cast<size_t>(blocks)) {
  std::iota(free_.rbegin(), free_.rend(), 0);  // low numbers are given first
}

void BlockAllocator::Evict(BlockId block) {
  BlockMeta& meta = Meta(block);
  lru_.erase(meta.at);
  index_.erase(index_.find(meta.entry->first));
  meta.entry = nullptr;
}

std::optional<BlockId> BlockAllocator::Allocate() {
  if (free_.empty()) {
    if (lru_.empty()) return std::nullopt;
    const BlockId oldest = lru_.front();
    Evict(oldest);
    free_.push_back(oldest);
  }
  const BlockId block = free_.back();
  free_.pop_back();
  Meta(block).references = 1;
  ++used_;
  return block;
}

void BlockAllocator::Share(BlockId block) {
  TERN_CHECK(Meta(block).references > 0);
  ++Meta(block).references;
}

void BlockAllocator::Free(BlockId block) {
  BlockMeta& meta = Meta(block);
  TERN_CHECK(meta.references > 0);
  if (--meta.references > 0) return;
  --used_;
  if (meta.entry)
    meta.at = lru_.insert(lru_.end(), block);
  else
    free_.push_back(block);
}

PrefixId BlockAllocator::Publish(PrefixId parent, BlockId block, std::span<const TokenId> tokens) {
  TERN_CHECK(static_cast<int64_t>(tokens.size()) == kBlockPositions);
  BlockMeta& meta = Meta(block);
  TERN_CHECK(meta.references > 0 && !meta.entry);
  Key key{.parent = parent};
  std::copy(tokens.begin(), tokens.end(), key.tokens.begin());
  const auto [entry, is_new] = index_.try_emplace(key, Entry{block, last_prefix_ + 1});
  if (is_new) {
    ++last_prefix_;
    meta.entry = &*entry;
  }
  return entry->second.prefix;
}

BlockAllocator::Match BlockAllocator::MatchPrefix(std::span<const TokenId> tokens) {
  Match match;
  constexpr auto kStep = static_cast<size_t>(kBlockPositions);
  for (; tokens.size() >= kStep; tokens = tokens.subspan(kStep)) {
    Key key{.parent = match.prefixes.empty() ? kNoPrefix : match.prefixes.back()};
    std::copy_n(tokens.begin(), kStep, key.tokens.begin());
    const auto entry = index_.find(key);
    if (entry == index_.end()) break;
    const BlockId block = entry->second.block;
    BlockMeta& meta = Meta(block);
    if (meta.references++ == 0) {
      lru_.erase(meta.at);
      ++used_;
    }
    match.blocks.push_back(block);
    match.prefixes.push_back(entry->second.prefix);
  }
  return match;
}

void BlockAllocator::DropCached() {
  while (!lru_.empty()) {
    const BlockId block = lru_.front();
    Evict(block);
    free_.push_back(block);
  }
}

Status BlockAllocator::CheckIntegrity() const {
  std::vector<int> listed(meta_.size(), 0);
  for (const BlockId block : free_) {
    ++listed[static_cast<size_t>(block)];
    if (IsPublished(block) || Meta(block).references != 0)
      return Fail(Code::kInternal, "free block {} has an owner or content", block);
  }
  for (auto at = lru_.begin(); at != lru_.end(); ++at) {
    ++listed[static_cast<size_t>(*at)];
    if (!IsPublished(*at) || Meta(*at).references != 0)
      return Fail(Code::kInternal, "cached block {} has an owner or no content", *at);
  }
  int64_t used = 0;
  size_t published = 0;
  for (size_t i = 0; i < meta_.size(); ++i) {
    const BlockMeta& meta = meta_[i];
    used += meta.references > 0;
    published += meta.entry != nullptr;
    if (listed[i] != (meta.references == 0 ? 1 : 0))
      return Fail(Code::kInternal, "block {} with {} references is in {} lists", i, meta.references,
                  listed[i]);
    if (meta.entry && meta.entry->second.block != static_cast<BlockId>(i))
      return Fail(Code::kInternal, "the index has block {} where block {} is published",
                  meta.entry->second.block, i);
  }
  if (used != used_) return Fail(Code::kInternal, "{} blocks have owners, counted {}", used, used_);
  if (published != index_.size())
    return Fail(Code::kInternal, "{} blocks are published, the index has {}", published,
                index_.size());
  return {};
}

}  // namespace tern
