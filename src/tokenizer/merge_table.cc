#include "tokenizer/merge_table.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace tern {
namespace {

constexpr size_t kNone = std::numeric_limits<size_t>::max();

/// A symbol of the piece being merged; merged-away nodes stay in the vector and are skipped by the
/// links.
struct Node {
  size_t previous, next;
  int32_t symbol;
};

/// A merge that was possible when it was found. It is stale when the symbols at its place have
/// changed since.
struct Candidate {
  uint32_t rank;
  int32_t left, right, result;
  size_t at;

  // For a max-heap whose top is the lowest rank, leftmost first.
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : at > other.at;
  }
};

}  // namespace

void MergeTable::Reserve(size_t pairs) {
  const size_t capacity = std::bit_ceil(std::max<size_t>(pairs + pairs / 2, 16));
  if (capacity > entries_.size()) Rehash(capacity);
}

void MergeTable::Rehash(size_t capacity) {
  std::vector<Entry> old(capacity);
  old.swap(entries_);
  for (const Entry& entry : old)
    if (entry.pair != kEmpty) entries_[Slot(entry.pair)] = entry;
}

size_t MergeTable::Slot(uint64_t pair) const {
  const size_t mask = entries_.size() - 1;
  const uint64_t mixed = (pair ^ (pair >> 29)) * 0x9e3779b97f4a7c15;  // 2^64 / golden ratio
  size_t slot = static_cast<size_t>(mixed >> 20) & mask;
  while (entries_[slot].pair != kEmpty && entries_[slot].pair != pair) slot = (slot + 1) & mask;
  return slot;
}

void MergeTable::Add(int32_t left, int32_t right, uint32_t rank, int32_t result) {
  if ((size_ + 1) * 4 > entries_.size() * 3) Rehash(std::max<size_t>(16, entries_.size() * 2));
  const uint64_t pair = Pair(left, right);
  Entry& entry = entries_[Slot(pair)];
  if (entry.pair == pair) return;
  entry = {pair, rank, result};
  ++size_;
}

const MergeTable::Entry* MergeTable::Find(int32_t left, int32_t right) const {
  const Entry& entry = entries_[Slot(Pair(left, right))];
  return entry.pair == kEmpty ? nullptr : &entry;
}

void MergeTable::Apply(std::vector<int32_t>& symbols) const {
  if (size_ == 0 || symbols.size() < 2) return;
  std::vector<Node> nodes(symbols.size());
  for (size_t i = 0; i < nodes.size(); ++i)
    nodes[i] = {i == 0 ? kNone : i - 1, i + 1 == nodes.size() ? kNone : i + 1, symbols[i]};

  std::vector<Candidate> heap;
  const auto candidate_at = [&](size_t at) {
    if (at == kNone || nodes[at].next == kNone) return false;
    const int32_t left = nodes[at].symbol, right = nodes[nodes[at].next].symbol;
    const Entry* entry = Find(left, right);
    if (entry != nullptr) heap.push_back({entry->rank, left, right, entry->result, at});
    return entry != nullptr;
  };
  for (size_t i = 0; i + 1 < nodes.size(); ++i) candidate_at(i);
  std::make_heap(heap.begin(), heap.end());

  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Candidate best = heap.back();
    heap.pop_back();
    Node& node = nodes[best.at];
    // A merge always changes the symbol of the node it keeps, and a merged-away node's left
    // neighbour, so equal symbols mean that both still stand side by side.
    if (node.symbol != best.left || node.next == kNone || nodes[node.next].symbol != best.right)
      continue;
    const size_t gone = node.next;
    node.symbol = best.result;
    node.next = nodes[gone].next;
    if (node.next != kNone) nodes[node.next].previous = best.at;
    nodes[gone] = {kNone, kNone, std::numeric_limits<int32_t>::min()};
    if (candidate_at(node.previous)) std::push_heap(heap.begin(), heap.end());
    if (candidate_at(best.at)) std::push_heap(heap.begin(), heap.end());
  }

  symbols.clear();
  for (size_t i = 0; i != kNone; i = nodes[i].next) symbols.push_back(nodes[i].symbol);
}

}  // namespace tern
