#include "engine/scheduler.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace tern {

Scheduler::Scheduler(const SchedulerOptions& options)
    : options_(options),
      allocator_(options.blocks),
      free_slots_(static_cast<size_t>(options.swap_slots)) {
  std::iota(free_slots_.rbegin(), free_slots_.rend(), 0);  // low numbers are given first
  TERN_CHECK(options.context <= options.blocks * kBlockPositions);
  TERN_CHECK(options.max_sequences <= options.logit_rows);
}

bool Scheduler::Outranks(const Sequence& a, const Sequence& b) {
  return a.priority != b.priority ? a.priority > b.priority : a.arrival < b.arrival;
}

Scheduler::Sequence* Scheduler::Find(SequenceId id) {
  const auto at = sequences_.find(id);
  return at == sequences_.end() ? nullptr : &at->second;
}

void Scheduler::Enqueue(Sequence& s) {
  s.state = State::kWaiting;
  if (!s.paused) waiting_.push_back(&s);
}

void Scheduler::LeaveLists(Sequence& s) {
  std::erase(active_, &s);
  std::erase(waiting_, &s);
}

void Scheduler::Add(NewSequence sequence) {
  const SequenceId id = sequence.id;
  const auto [at, is_new] = sequences_.emplace(id, Sequence{{std::move(sequence)}});
  TERN_CHECK(is_new);
  Sequence& s = at->second;
  s.prompt = std::ssize(s.tokens);
  TERN_CHECK(s.prompt > 0 && s.prompt < options_.context + (s.embedding ? 1 : 0));
  s.arrival = ++arrivals_;
  s.queued = step_;
  if (s.deadline) deadlines_.emplace(*s.deadline, id);
  const Sequence* leader = s.leader ? Find(*s.leader) : nullptr;
  if (leader != nullptr && leader->computed < leader->prompt)
    s.state = State::kHeld;
  else
    Enqueue(s);
}

void Scheduler::ReleaseFollowers(SequenceId leader) {
  for (auto& [id, s] : sequences_)
    if (s.state == State::kHeld && s.leader == leader) Enqueue(s);
}

void Scheduler::Strip(Sequence& s) {
  Recall(s);
  // The last block first: it is the first to be evicted, since it is of no use without the others.
  while (!s.blocks.empty()) {
    allocator_.Free(s.blocks.back());
    s.blocks.pop_back();
  }
  s.prefixes.clear();
  s.computed = 0;
}

void Scheduler::Remove(SequenceId id) {
  Sequence* s = Find(id);
  if (s == nullptr) return;
  LeaveLists(*s);
  Strip(*s);
  FreeSlots(*s);
  if (s->deadline) deadlines_.erase({*s->deadline, id});
  sequences_.erase(id);
  ReleaseFollowers(id);
}

void Scheduler::Pause(SequenceId id) {
  Sequence* s = Find(id);
  if (s == nullptr || s->paused) return;
  s->paused = true;
  LeaveLists(*s);
  if (s->state == State::kActive) s->state = State::kWaiting;
}

void Scheduler::Resume(SequenceId id) {
  Sequence* s = Find(id);
  if (s == nullptr || !s->paused) return;
  s->paused = false;
  if (s->state == State::kWaiting) Enqueue(*s);
}

void Scheduler::SetDraft(SequenceId id, std::vector<TokenId> draft) {
  if (Sequence* s = Find(id)) s->draft = std::move(draft);
}

bool Scheduler::IsDecoding(SequenceId id) const {
  const auto at = sequences_.find(id);
  return at != sequences_.end() && at->second.state == State::kActive && !at->second.arriving &&
         at->second.remaining() == 1 && !at->second.embedding;
}

std::vector<SequenceId> Scheduler::Expired(int64_t now) const {
  std::vector<SequenceId> ids;
  for (const auto& [deadline, id] : deadlines_) {
    if (deadline > now) break;
    ids.push_back(id);
  }
  return ids;
}

std::optional<int64_t> Scheduler::NextDeadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

// ---- Blocks

void Scheduler::Preempt(Sequence& s) {
  SwapOut(s);
  Strip(s);
  ++preempted_;
  std::erase_if(entries_, [&](const Entry& e) { return e.sequence == &s; });
  if (s.state != State::kActive) return;
  LeaveLists(s);
  Enqueue(s);
}

// Who gives blocks to `by`: first those that aren't running, then those lower in rank.
Scheduler::Sequence* Scheduler::PickVictim(const Sequence& by) {
  Sequence* victim = nullptr;
  for (auto& [id, s] : sequences_) {
    if (&s == &by || s.blocks.empty()) continue;
    const bool runs = s.state == State::kActive;
    if (runs && !Outranks(by, s)) continue;
    if (victim != nullptr) {
      const bool victim_runs = victim->state == State::kActive;
      if (runs != victim_runs ? runs : Outranks(s, *victim)) continue;
    }
    victim = &s;
  }
  return victim;
}

std::optional<BlockId> Scheduler::TakeBlock(const Sequence& s) {
  for (;;) {
    if (const auto block = allocator_.Allocate()) return block;
    Sequence* victim = PickVictim(s);
    if (victim == nullptr) return std::nullopt;
    Preempt(*victim);
  }
}

// Blocks for the next rows, none of them anybody else's or in the prefix cache; returns for how
// many rows there are.
int64_t Scheduler::Reserve(Sequence& s, int64_t rows, std::vector<BlockCopy>& copies) {
  const int64_t end = s.computed + rows;
  for (int64_t i = s.computed / kBlockPositions; i < BlocksFor(end); ++i) {
    const bool has = i < std::ssize(s.blocks);
    const BlockId old = has ? s.blocks[static_cast<size_t>(i)] : -1;
    if (has && allocator_.References(old) == 1 && !allocator_.IsPublished(old)) continue;
    const auto block = TakeBlock(s);
    if (!block) return std::max<int64_t>(0, i * kBlockPositions - s.computed);
    if (has) {
      copies.push_back({old, *block});
      allocator_.Free(old);
      s.blocks[static_cast<size_t>(i)] = *block;
    } else {
      s.blocks.push_back(*block);
    }
  }
  return rows;
}

// More blocks until it has all its tokens and the next in the cache.
int64_t Scheduler::BlocksWanted(const Sequence& s) const {
  const int64_t positions = std::min(std::ssize(s.tokens) + 1, options_.context);
  return std::max<int64_t>(0, BlocksFor(positions) - std::ssize(s.blocks));
}

// Takes what is in the cache already. The last token is always run: its output is wanted.
void Scheduler::FindPrefix(Sequence& s) {
  const auto known = std::span(s.tokens).first(s.tokens.size() - 1);
  if (s.cache && options_.prefix_cache) {
    BlockAllocator::Match match = allocator_.MatchPrefix(known);
    s.blocks = std::move(match.blocks);
    s.prefixes = std::move(match.prefixes);
    s.computed = std::ssize(s.blocks) * kBlockPositions;
  }
  const Sequence* leader = s.leader ? Find(*s.leader) : nullptr;
  const int64_t shared = std::min(s.prompt, std::ssize(s.tokens) - 1);
  if (leader == nullptr || leader->arriving || leader->computed < shared || shared <= s.computed)
    return;
  Strip(s);
  s.computed = shared;
  s.blocks.assign(leader->blocks.begin(), leader->blocks.begin() + BlocksFor(shared));
  for (const BlockId block : s.blocks) allocator_.Share(block);
  const auto full = static_cast<size_t>(shared / kBlockPositions);
  s.prefixes.assign(leader->prefixes.begin(),
                    leader->prefixes.begin() +
                        static_cast<std::ptrdiff_t>(std::min(full, leader->prefixes.size())));
}

void Scheduler::Publish(Sequence& s) {
  if (!s.cache || !options_.prefix_cache || s.embedding) return;
  for (;;) {
    const size_t i = s.prefixes.size();
    const int64_t end = (static_cast<int64_t>(i) + 1) * kBlockPositions;
    if (end > s.computed) return;
    const PrefixId parent = i == 0 ? kNoPrefix : s.prefixes.back();
    s.prefixes.push_back(allocator_.Publish(
        parent, s.blocks[i],
        std::span(s.tokens).subspan(i * kBlockPositions, static_cast<size_t>(kBlockPositions))));
  }
}

void Scheduler::Commit(const PlanItem& item, std::span<const TokenId> sampled) {
  Sequence* s = Find(item.id);
  if (s == nullptr || s->computed != item.position) return;
  const bool was_prompt = s->computed < s->prompt;
  s->tokens.insert(s->tokens.end(), sampled.begin(), sampled.end());
  s->computed += item.rows - item.drafts + std::max<int64_t>(0, std::ssize(sampled) - 1);
  Publish(*s);
  if (was_prompt && s->computed >= s->prompt) ReleaseFollowers(s->id);
}

Status Scheduler::CheckIntegrity() const {
  TERN_TRY(allocator_.CheckIntegrity());
  std::vector<int32_t> owners(static_cast<size_t>(allocator_.blocks()), 0);
  int64_t active = 0, waiting = 0;
  for (const auto& [id, s] : sequences_) {
    active += s.state == State::kActive;
    waiting += s.state == State::kWaiting && !s.paused;
    for (const BlockId block : s.blocks) ++owners[static_cast<size_t>(block)];
    if (s.computed > std::ssize(s.blocks) * kBlockPositions)
      return Fail(Code::kInternal, "sequence {} has {} positions in {} blocks", id, s.computed,
                  s.blocks.size());
    if (s.computed >= std::ssize(s.tokens) + (s.embedding ? 1 : 0))
      return Fail(Code::kInternal, "sequence {} has {} tokens, {} of them in the cache", id,
                  s.tokens.size(), s.computed);
    if (s.paused && s.state == State::kActive)
      return Fail(Code::kInternal, "sequence {} is paused and active", id);
    if (s.state == State::kHeld && !sequences_.contains(*s.leader))
      return Fail(Code::kInternal, "sequence {} waits for sequence {}, which is gone", id,
                  *s.leader);
  }
  TERN_TRY(CheckSlots());
  if (active != std::ssize(active_) || waiting != std::ssize(waiting_))
    return Fail(Code::kInternal, "{} sequences active and {} waiting, {} and {} in the lists",
                active, waiting, active_.size(), waiting_.size());
  if (active > options_.max_sequences)
    return Fail(Code::kInternal, "{} sequences active, at most {}", active, options_.max_sequences);
  for (size_t i = 0; i < owners.size(); ++i)
    if (owners[i] != allocator_.References(static_cast<BlockId>(i)))
      return Fail(Code::kInternal, "block {} has {} owners, counted {}", i, owners[i],
                  allocator_.References(static_cast<BlockId>(i)));
  return {};
}

}  // namespace tern
