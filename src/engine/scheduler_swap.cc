// Where the contents of blocks go when their sequence loses them, and how they come back.
#include <algorithm>

#include "engine/scheduler.h"

namespace tern {

// Called before a sequence loses its blocks. All or nothing: without the beginning, the rest is of
// no use.
void Scheduler::SwapOut(Sequence& s) {
  const int64_t blocks = BlocksFor(s.computed);
  if (s.arriving || blocks == 0 || std::ssize(free_slots_) < blocks) return;
  FreeSlots(s);
  // A block that the plan in the making copies has its content still in the one it is copied from:
  // moves to the host come before copies.
  const auto entry = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& e) { return e.sequence == &s; });
  const auto source = [&](BlockId block) {
    if (entry != entries_.end())
      for (const BlockCopy& copy : entry->copies)
        if (copy.to == block) return copy.from;
    return block;
  };
  BlockMoves out{s.id, {}};
  for (int64_t i = 0; i < blocks; ++i) {
    s.slots.push_back(free_slots_.back());
    free_slots_.pop_back();
    out.moves.push_back({source(s.blocks[static_cast<size_t>(i)]), s.slots.back()});
  }
  s.swapped = s.computed;
  swapped_blocks_ += static_cast<uint64_t>(blocks);
  outs_.push_back(std::move(out));
}

// Called when a sequence becomes active; it has the blocks that the prefix cache had.
void Scheduler::SwapIn(Sequence& s) {
  if (s.slots.empty() || s.arriving) return;
  const int64_t blocks = BlocksFor(s.swapped), kept = s.computed / kBlockPositions;
  if (s.computed >= s.swapped || allocator_.available() < blocks - kept) return FreeSlots(s);
  while (std::ssize(s.blocks) > kept) {  // a leader's, with less in it
    allocator_.Free(s.blocks.back());
    s.blocks.pop_back();
  }
  BlockMoves in{s.id, {}};
  for (int64_t i = kept; i < blocks; ++i) {
    s.blocks.push_back(*allocator_.Allocate());
    in.moves.push_back({s.blocks.back(), s.slots[static_cast<size_t>(i)]});
  }
  s.computed = s.swapped;
  s.arriving = true;
  ins_.push_back(std::move(in));
}

// Blocks on their way are given up; what they were to hold is on the host still.
void Scheduler::Recall(Sequence& s) {
  if (!s.arriving) return;
  s.arriving = false;
  const auto planned = std::erase_if(ins_, [&](const BlockMoves& in) { return in.id == s.id; });
  if (planned == 0) await_moves_ = true;
}

void Scheduler::FreeSlots(Sequence& s) {
  free_slots_.insert(free_slots_.end(), s.slots.rbegin(), s.slots.rend());
  s.slots.clear();
  s.swapped = 0;
}

void Scheduler::Arrived(SequenceId id) {
  Sequence* s = Find(id);
  if (s == nullptr || !s->arriving) return;
  s->arriving = false;
  FreeSlots(*s);
  Publish(*s);  // before anybody shares them
}

bool Scheduler::IsArriving(SequenceId id) const {
  const auto at = sequences_.find(id);
  return at != sequences_.end() && at->second.arriving;
}

void Scheduler::DropSwapped(SequenceId id) {
  Sequence* s = Find(id);
  if (s == nullptr) return;
  if (s->arriving) {
    Strip(*s);
    if (s->state == State::kActive) {
      LeaveLists(*s);
      Enqueue(*s);
    }
  }
  FreeSlots(*s);
}

Status Scheduler::CheckSlots() const {
  std::vector<int> owners(static_cast<size_t>(options_.swap_slots), 0);
  for (const SwapSlot slot : free_slots_) ++owners[static_cast<size_t>(slot)];
  for (const auto& [id, s] : sequences_) {
    for (const SwapSlot slot : s.slots) ++owners[static_cast<size_t>(slot)];
    if (std::ssize(s.slots) != BlocksFor(s.swapped))
      return Fail(Code::kInternal, "sequence {} has {} positions in {} slots of the host", id,
                  s.swapped, s.slots.size());
    if (s.arriving ? s.slots.empty() || s.computed != s.swapped
                   : !s.slots.empty() && !s.blocks.empty())
      return Fail(Code::kInternal,
                  "sequence {} {} with {} positions on the host and {} in {} blocks", id,
                  s.arriving ? "arrives" : "rests", s.swapped, s.computed, s.blocks.size());
  }
  for (size_t i = 0; i < owners.size(); ++i)
    if (owners[i] != 1)
      return Fail(Code::kInternal, "slot {} of the host has {} owners", i, owners[i]);
  return {};
}

}  // namespace tern
