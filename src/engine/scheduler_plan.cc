// What the next pass runs: who is let in, decode rows, guesses, pieces of prompts.
#include <algorithm>
#include <utility>

#include "engine/scheduler.h"

namespace tern {

int64_t Scheduler::EffectivePriority(const Sequence& s) const {
  return s.priority + (step_ - s.queued) / options_.aging_steps;
}

bool Scheduler::Admit(Sequence& s) {
  if (s.blocks.empty()) FindPrefix(s);
  const auto has_room = [&] {
    int64_t promised = BlocksWanted(s);
    for (const Sequence* other : active_) promised += BlocksWanted(*other);
    return promised <= allocator_.available();
  };
  while (!has_room()) {
    // Those that wait, for whatever reason, hold no memory against those that can run.
    Sequence* idle = PickVictim(s);
    if (idle == nullptr || idle->state == State::kActive) break;
    Preempt(*idle);
  }
  // A sequence alone always may: the context fits.
  if (!has_room() && !active_.empty()) {
    Strip(s);
    return false;
  }
  SwapIn(s);
  std::erase(waiting_, &s);
  active_.push_back(&s);
  s.state = State::kActive;
  if (s.cached < 0) s.cached = std::min(s.computed, s.prompt);
  return true;
}

void Scheduler::AdmitWaiting() {
  // Prompts at work beside the first one: more of them than a pass can take would only wait inside.
  const auto pending = [this] {
    int64_t sum = 0;
    const Sequence* first = nullptr;
    for (const Sequence* s : active_) {
      if (s->remaining() <= 1) continue;
      sum += s->remaining();
      if (first == nullptr || s->arrival < first->arrival) first = s;
    }
    return first == nullptr ? 0 : sum - first->remaining();
  };
  while (active() < options_.max_sequences && !waiting_.empty() &&
         pending() < options_.token_budget) {
    Sequence& best = **std::max_element(
        waiting_.begin(), waiting_.end(), [this](const Sequence* a, const Sequence* b) {
          const int64_t pa = EffectivePriority(*a), pb = EffectivePriority(*b);
          return pa != pb ? pa < pb : a->arrival > b->arrival;
        });
    if (!Admit(best)) return;
  }
}

// Text and embeddings have different outputs, so they take turns.
bool Scheduler::PickEmbedding() {
  const auto embeds = [](const Sequence* s) { return s->embedding; };
  const bool any = std::any_of(active_.begin(), active_.end(), embeds);
  const bool all = std::all_of(active_.begin(), active_.end(), embeds);
  return last_embedding_ = any && (all || !last_embedding_);
}

void Scheduler::PlanDecode(int64_t& budget, int64_t& logits) {
  std::vector<Sequence*> ready;
  for (Sequence* s : active_)
    if (!s->embedding && !s->arriving && s->remaining() == 1) ready.push_back(s);
  std::sort(ready.begin(), ready.end(), [](const Sequence* a, const Sequence* b) {
    return a->served != b->served ? a->served < b->served : Outranks(*a, *b);
  });
  for (Sequence* s : ready)
    if (s->state == State::kActive) AddChunk(*s, 1, budget, logits);
}

// Guesses use half of what is left of the pass at most, and take nobody's blocks.
void Scheduler::PlanDrafts(int64_t& budget, int64_t& logits) {
  int64_t left = std::min(budget / 2, logits);
  for (Entry& e : entries_) {
    Sequence& s = *e.sequence;
    const int64_t room = std::ssize(s.blocks) * kBlockPositions - s.computed - e.rows;
    const int64_t wanted =
        std::min({std::ssize(s.draft), left, options_.context - s.computed - e.rows});
    const int64_t more = BlocksFor(std::max<int64_t>(0, wanted - room));
    const int64_t drafts = more <= allocator_.available() ? wanted : std::min(wanted, room);
    if (drafts <= 0) continue;
    e.drafts = drafts;
    e.rows += Reserve(s, e.rows + drafts, e.copies) - e.rows;
    left -= drafts;
    budget -= drafts;
    logits -= drafts;
  }
}

void Scheduler::AddChunk(Sequence& s, int64_t rows, int64_t& budget, int64_t& logits) {
  rows = std::min({rows, budget, s.remaining()});
  if (s.embedding) rows = std::min(rows, logits);
  if (rows == s.remaining() && logits == 0) --rows;
  if (rows <= 0) return;
  Entry entry{&s, 0, 0, {}};
  entry.rows = Reserve(s, rows, entry.copies);
  if (entry.rows == 0) return;
  budget -= entry.rows;
  if (s.embedding)
    logits -= entry.rows;
  else if (entry.rows == s.remaining())
    --logits;
  s.served = step_;
  entries_.push_back(std::move(entry));
}

void Scheduler::PlanPrefill(bool embedding, int64_t& budget, int64_t& logits) {
  std::vector<Sequence*> prompts;
  for (Sequence* s : active_)
    if (s->embedding == embedding && !s->arriving && (embedding || s->remaining() > 1))
      prompts.push_back(s);
  if (prompts.empty()) return;
  std::sort(prompts.begin(), prompts.end(), [](const Sequence* a, const Sequence* b) {
    return a->remaining() != b->remaining() ? a->remaining() < b->remaining() : Outranks(*a, *b);
  });
  const auto first = std::min_element(
      prompts.begin(), prompts.end(),
      [](const Sequence* a, const Sequence* b) { return a->arrival < b->arrival; });
  int64_t others = 0;
  for (const Sequence* s : prompts)
    if (s != *first) others += s->remaining();
  AddChunk(**first, std::max((budget + 1) / 2, budget - others), budget, logits);
  for (Sequence* s : prompts)
    if (s != *first && s->state == State::kActive) AddChunk(*s, budget, budget, logits);
}

Plan Scheduler::Pack(bool embedding) {
  Plan plan;
  plan.embedding = embedding;
  plan.await_moves = std::exchange(await_moves_, false);
  plan.outs = std::move(outs_);
  plan.ins = std::move(ins_);
  for (const Entry& e : entries_) {
    const Sequence& s = *e.sequence;
    PlanItem item{s.id, s.computed, e.rows, e.drafts, std::ssize(plan.logit_rows), 0};
    const int64_t fed = e.rows - e.drafts;
    if (embedding)
      item.logits = e.rows;
    else if (fed == s.remaining())
      item.logits = 1 + e.drafts;
    for (int64_t i = 0; i < e.rows; ++i) {
      if (i >= e.rows - item.logits)
        plan.logit_rows.push_back(static_cast<int32_t>(plan.tokens.size()));
      plan.tokens.push_back(i < fed ? s.tokens[static_cast<size_t>(s.computed + i)]
                                    : s.draft[static_cast<size_t>(i - fed)]);
      plan.positions.push_back(static_cast<int32_t>(s.computed + i));
      plan.sequences.push_back(static_cast<int32_t>(plan.items.size()));
    }
    plan.items.push_back(item);
    plan.tables.push_back(s.blocks);
    plan.copies.insert(plan.copies.end(), e.copies.begin(), e.copies.end());
  }
  return plan;
}

Plan Scheduler::Next() {
  ++step_;
  entries_.clear();
  outs_.clear();
  ins_.clear();
  AdmitWaiting();
  bool embedding = false;
  // The second try is for the other kind, where the first has no memory to go on.
  for (int attempt = 0; attempt < 2 && entries_.empty(); ++attempt) {
    embedding = PickEmbedding();
    int64_t budget = options_.token_budget, logits = options_.logit_rows;
    if (!embedding) {
      PlanDecode(budget, logits);
      PlanDrafts(budget, logits);
    }
    PlanPrefill(embedding, budget, logits);
  }
  Plan plan = Pack(embedding);
  for (auto& [id, s] : sequences_) s.draft.clear();
  return plan;
}

}  // namespace tern
