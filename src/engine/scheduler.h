// Which tokens of which sequences the next forward pass runs.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "kv/block_allocator.h"

namespace tern {

using SequenceId = uint64_t;

struct SchedulerOptions {
  int64_t blocks = 0;          // of the cache
  int64_t token_budget = 512;  // rows of a pass
  int64_t logit_rows = 512;    // of them that can have logits; at least max_sequences
  int64_t max_sequences = 32;  // active at once
  int64_t context = 0;         // positions of a sequence; at most blocks * kBlockPositions
  bool prefix_cache = true;
  int64_t swap_slots = 0;  // blocks on the host, for sequences that had to give up theirs
  /// Passes after which a waiting sequence counts as one priority higher.
  int64_t aging_steps = 64;
};

struct NewSequence {
  SequenceId id = 0;            // never used before
  std::vector<TokenId> tokens;  // the prompt: 1 .. context - 1 tokens
  int priority = 0;             // higher goes first
  std::optional<int64_t> deadline = {};
  bool cache = true;       // may use and fill the prefix cache
  bool embedding = false;  // every token's output is wanted, and nothing follows
  /// Another answer to the prompt of this sequence: waits until that prompt is in the cache, and
  /// shares its blocks.
  std::optional<SequenceId> leader = {};
};

/// Rows of one sequence in a plan, at increasing positions.
struct PlanItem {
  SequenceId id = 0;
  int64_t position = 0;     // of the first row
  int64_t rows = 0;         // drafts among them
  int64_t drafts = 0;       // last rows, guessed tokens
  int64_t first_logit = 0;  // its rows of the output: [first_logit, first_logit + logits)
  int64_t logits = 0;       // 0 for a chunk that isn't the prompt's last
};

struct BlockCopy {
  BlockId from, to;
};

/// What the blocks of a sequence hold, on its way to the host or back.
struct BlockMoves {
  struct Move {
    BlockId block;
    SwapSlot slot;
  };
  SequenceId id = 0;
  std::vector<Move> moves;
};

/// A batch (model/executor.h), with what has to be done to blocks before: first wait for moves from
/// earlier plans, if need be, then moves to the host, then from there, then copies, in their order.
struct Plan {
  bool embedding = false;
  bool await_moves = false;
  std::vector<BlockMoves> outs, ins;
  std::vector<PlanItem> items;  // item i is sequence i of the batch
  std::vector<BlockCopy> copies;
  std::vector<TokenId> tokens;               // (rows)
  std::vector<int32_t> positions;            // (rows)
  std::vector<int32_t> sequences;            // (rows)
  std::vector<std::vector<BlockId>> tables;  // (items)
  std::vector<int32_t> logit_rows;           // (outputs)
  std::vector<std::span<const BlockId>> Spans() const { return {tables.begin(), tables.end()}; }
};

/// Continuous batching: every pass has the next token of every active sequence, and pieces of the
/// prompts of those that begin, up to the token budget. Half of what prompts get is for the one
/// that came first, the rest for the shortest, so that none starves and short ones don't wait for a
/// long one. When blocks run out, sequences that aren't active lose theirs first, then the lowest
/// in rank (priority, then arrival); what they lost comes back from the host later, or where there
/// was no room for it, is computed again. Rank is a total order,
/// so the highest always gets on. Pure state: no clock (callers bring deadlines and now in any
/// unit), no tensors. Thread rule: one owner.
class Scheduler {
 public:
  explicit Scheduler(const SchedulerOptions& options);

  void Add(NewSequence sequence);
  /// Finished or cancelled, at any moment; unknown ids are ignored, here and below.
  void Remove(SequenceId id);
  /// Not run until Resume; may lose its blocks.
  void Pause(SequenceId id);
  void Resume(SequenceId id);
  /// Guesses of the tokens that follow, for the next plan alone.
  void SetDraft(SequenceId id, std::vector<TokenId> draft);
  /// Sequences whose deadline is not after now; the caller removes them.
  std::vector<SequenceId> Expired(int64_t now) const;
  std::optional<int64_t> NextDeadline() const;

  /// Has no items when there is nothing to run.
  Plan Next();
  /// An item was run. `sampled`: for each output in turn the token drawn, as long as it equals the
  /// draft that was run, and the first that doesn't; empty for items without logits and embeddings.
  void Commit(const PlanItem& item, std::span<const TokenId> sampled);
  /// The last moves back (Plan::ins) of a sequence are done: it can run again. Other passes may run
  /// in between.
  void Arrived(SequenceId id);
  bool IsArriving(SequenceId id) const;
  /// Moves of a sequence failed: it is computed again. Called before the plan is run.
  void DropSwapped(SequenceId id);

  /// All tokens, those sampled among them.
  std::span<const TokenId> Tokens(SequenceId id) const { return sequences_.at(id).tokens; }
  bool Contains(SequenceId id) const { return sequences_.contains(id); }
  /// A next token of it can be in the next plan.
  bool IsDecoding(SequenceId id) const;
  /// Of the prompt, found in the cache when the sequence first became active.
  int64_t CachedTokens(SequenceId id) const { return sequences_.at(id).cached; }

  int64_t active() const { return std::ssize(active_); }
  int64_t waiting() const { return std::ssize(waiting_); }  // without paused ones
  int64_t size() const { return std::ssize(sequences_); }
  uint64_t preempted() const { return preempted_; }
  uint64_t swapped_blocks() const { return swapped_blocks_; }  // to the host, so far
  int64_t swap_used() const { return options_.swap_slots - std::ssize(free_slots_); }
  const SchedulerOptions& options() const { return options_; }
  const BlockAllocator& allocator() const { return allocator_; }
  /// For tests: sequences, lists and blocks agree.
  Status CheckIntegrity() const;

 private:
  enum class State : uint8_t { kHeld, kWaiting, kActive };
  struct Sequence : NewSequence {
    State state = State::kWaiting;
    bool paused = false;
    int64_t prompt = 0;    // tokens of it
    int64_t arrival = 0;   // order of Add
    int64_t queued = 0;    // step of Add
    int64_t served = 0;    // step of the last plan it was in
    int64_t computed = 0;  // positions in the cache
    int64_t cached = -1;   // of the prompt, once active
    std::vector<BlockId> blocks = {};
    std::vector<PrefixId> prefixes = {};  // of the full blocks, as far as published
    std::vector<TokenId> draft = {};
    // On the host, since it lost its blocks: what they held of its first positions.
    std::vector<SwapSlot> slots = {};
    int64_t swapped = 0;    // positions
    bool arriving = false;  // and they are on their way back

    int64_t remaining() const { return std::ssize(tokens) - computed; }
  };
  struct Entry {
    Sequence* sequence;
    int64_t rows, drafts;
    std::vector<BlockCopy> copies;
  };

  static bool Outranks(const Sequence& a, const Sequence& b);
  Sequence* Find(SequenceId id);
  void Enqueue(Sequence& s);
  void LeaveLists(Sequence& s);
  void ReleaseFollowers(SequenceId leader);
  void Strip(Sequence& s);
  void Preempt(Sequence& s);

  // Blocks.
  Sequence* PickVictim(const Sequence& by);
  std::optional<BlockId> TakeBlock(const Sequence& s);
  int64_t Reserve(Sequence& s, int64_t rows, std::vector<BlockCopy>& copies);
  int64_t BlocksWanted(const Sequence& s) const;
  void SwapOut(Sequence& s);
  void SwapIn(Sequence& s);
  void Recall(Sequence& s);
  void FreeSlots(Sequence& s);
  Status CheckSlots() const;
  void FindPrefix(Sequence& s);
  void Publish(Sequence& s);

  // The parts of a plan.
  int64_t EffectivePriority(const Sequence& s) const;
  bool Admit(Sequence& s);
  void AdmitWaiting();
  bool PickEmbedding();
  void PlanDecode(int64_t& budget, int64_t& logits);
  void PlanDrafts(int64_t& budget, int64_t& logits);
  void PlanPrefill(bool embedding, int64_t& budget, int64_t& logits);
  void AddChunk(Sequence& s, int64_t rows, int64_t& budget, int64_t& logits);
  Plan Pack(bool embedding);

  SchedulerOptions options_;
  BlockAllocator allocator_;
  std::map<SequenceId, Sequence> sequences_;
  std::vector<Sequence*> active_, waiting_;
  std::set<std::pair<int64_t, SequenceId>> deadlines_;
  std::vector<Entry> entries_;  // of the plan that is being made, in the order of their copies
  std::vector<SwapSlot> free_slots_;
  std::vector<BlockMoves> outs_, ins_;  // of the plan
  bool await_moves_ = false;            // blocks were given away that moves are still writing to
  int64_t step_ = 0, arrivals_ = 0;
  bool last_embedding_ = false;
  uint64_t preempted_ = 0, swapped_blocks_ = 0;
};

}  // namespace tern
